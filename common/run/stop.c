#include "common/run/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/clock.h"

static atomic_bool requested;
static atomic_int event_fd = -1;

static int stop_fd(void)
{
    int fd = atomic_load(&event_fd), none = -1;

    if (fd >= 0)
        return fd;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(fd >= 0);
    if (atomic_compare_exchange_strong(&event_fd, &none, fd))
        return fd;
    close(fd);
    return none;
}

static void on_signal(int sig)
{
    int saved = errno;

    (void)sig;
    stop_request();
    errno = saved;
}

void stop_install_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    stop_fd();
    CHECK(sigaction(SIGTERM, &act, NULL) == 0 && sigaction(SIGINT, &act, NULL) == 0);
    CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

void stop_request(void)
{
    uint64_t one = 1;
    int fd;

    atomic_store(&requested, true);
    /* After the store: a waiter makes the descriptor, then looks at the flag. */
    fd = atomic_load(&event_fd);
    if (fd >= 0)
        (void)!write(fd, &one, sizeof(one)); /* full means it was requested before */
}

bool stop_requested(void)
{
    return atomic_load(&requested);
}

bool stop_wait_ms(int64_t ms)
{
    struct pollfd p = {.fd = stop_fd(), .events = POLLIN};
    int64_t end = clock_mono_ms() + ms;

    while (!stop_requested() && ms > 0) {
        poll(&p, 1, (int)MIN(ms, 1000000));
        ms = end - clock_mono_ms();
    }
    return stop_requested();
}

void stop_reset(void)
{
    uint64_t drained;

    atomic_store(&requested, false);
    (void)!read(stop_fd(), &drained, sizeof(drained));
}

#include "common/run/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/thread.h"
#include "common/run/health.h"
#include "common/run/stop.h"

#define LOOK_MS 250
#define TURN_LIMIT_MS 180000 /* as WatchdogSec in the units of packaging/systemd */

struct notify {
    int socket;
    struct sockaddr_un address;
    socklen_t address_len;
    int64_t watchdog_ms; /* 0: none is wanted */
    pthread_t thread;

    pthread_mutex_t lock; /* below */
    pthread_cond_t changed;
    bool over;
};

static atomic_llong turned_ms; /* monotonic; 0: never */

void notify_turn_at(int64_t mono_ms)
{
    atomic_store_explicit(&turned_ms, mono_ms, memory_order_relaxed);
}

void notify_turn(void)
{
    notify_turn_at(clock_mono_ms());
}

bool notify_is_turning(void)
{
    int64_t turned = atomic_load_explicit(&turned_ms, memory_order_relaxed);

    return turned == 0 || clock_mono_ms() - turned <= TURN_LIMIT_MS;
}

/* Nobody waits for it. False: systemd was busy. */
static bool say(const struct notify *notify, const char *what)
{
    return sendto(notify->socket, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT,
                  (const struct sockaddr *)&notify->address, notify->address_len) >= 0;
}

/* ---- the thread ---- */

/* It is asked to say so at least twice in the watchdog's time. */
static void ping(const struct notify *notify, int64_t *next_ms)
{
    int64_t now = clock_mono_ms();

    if (notify->watchdog_ms == 0 || now < *next_ms ||
        now - atomic_load(&turned_ms) > notify->watchdog_ms)
        return;
    if (say(notify, "WATCHDOG=1"))
        *next_ms = now + notify->watchdog_ms / 3;
}

static void *notify_loop(void *arg)
{
    struct notify *notify = arg;
    bool ready = false;
    int64_t next_ms = 0;

    AUTO_LOCK(&notify->lock);
    while (!notify->over && !stop_requested()) {
        if (!ready && health_is_ready())
            ready = say(notify, "READY=1");
        ping(notify, &next_ms);
        clock_cond_wait(&notify->changed, &notify->lock, clock_mono_ms() + LOOK_MS);
    }
    say(notify, "STOPPING=1");
    return NULL;
}

/* ---- life ---- */

/* A path, or "@" and a name in the abstract space. */
static int read_address(struct notify *notify, const char *text, struct error *err)
{
    size_t len = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || len >= sizeof(notify->address.sun_path))
        return error_fatal(err, EXIT_CONFIGURATION, "NOTIFY_SOCKET is no path of a socket");
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, len);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static int64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return MAX(strtoll(usec, NULL, 10) / 1000, 0);
}

static void release(struct notify *notify)
{
    if (notify->socket >= 0)
        close(notify->socket);
    pthread_cond_destroy(&notify->changed);
    pthread_mutex_destroy(&notify->lock);
    free(notify);
}

static int start(struct notify *notify, const char *path, struct error *err)
{
    notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->socket < 0)
        return error_fatal(err, EXIT_CONFIGURATION, "NOTIFY_SOCKET: %s", strerror(errno));
    notify->watchdog_ms = watchdog_ms();
    notify_turn();
    return read_address(notify, path, err) < 0
               ? -1
               : thread_start(&notify->thread, notify_loop, notify, err);
}

int notify_start(struct notify **ret, struct error *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct notify *notify;

    *ret = NULL;
    if (!path || !*path)
        return 0;
    notify = xcalloc(1, sizeof(*notify));
    pthread_mutex_init(&notify->lock, NULL);
    clock_cond_init(&notify->changed);
    if (start(notify, path, err) < 0) {
        release(notify);
        return -1;
    }
    *ret = notify;
    return 0;
}

void notify_stop(struct notify *notify)
{
    if (!notify)
        return;
    pthread_mutex_lock(&notify->lock);
    notify->over = true;
    pthread_cond_broadcast(&notify->changed);
    pthread_mutex_unlock(&notify->lock);
    pthread_join(notify->thread, NULL);
    release(notify);
}

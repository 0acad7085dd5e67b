#include "common/run/bottom_line.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/auto.h"

#define WIDTH_UNKNOWN 80
#define TEXT_CEILING 4096
#define ERASE "\r\033[K"
#define ERASE_REST "\033[K"

static struct {
    pthread_mutex_t lock;
    struct buf text; /* empty: no line */
} bottom = {.lock = PTHREAD_MUTEX_INITIALIZER, .text = {.ceiling = TEXT_CEILING}};

bool bottom_line_is_possible(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

size_t bottom_line_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return WIDTH_UNKNOWN;
    return size.ws_col;
}

static void put(struct bytes text)
{
    (void)!write(STDERR_FILENO, text.p, text.len);
}

/* One that was stopped, or that nobody reads, loses a picture, and nobody waits for it. Beside
 * a line of the log, which is waited for anyway, it is not asked: then the two would mix. */
static bool is_writable(void)
{
    struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&terminal, 1, 0) == 1 && (terminal.revents & POLLOUT);
}

/* Under lock, as the next two. */
static void show(void)
{
    AUTO(buf_release) struct buf picture = {.ceiling = TEXT_CEILING + 16};

    if (!bottom.text.len)
        return;
    buf_char(&picture, '\r');
    buf_bytes(&picture, buf_slice(&bottom.text));
    buf_lit(&picture, ERASE_REST);
    put(buf_slice(&picture));
}

static void hide(void)
{
    if (bottom.text.len)
        put(BYTES_LIT(ERASE));
}

static void forget(void)
{
    if (is_writable())
        hide();
    buf_reset(&bottom.text);
}

/* Not in the middle of what somebody types into a shell. */
static bool is_in_background(void)
{
    pid_t group = tcgetpgrp(STDERR_FILENO);

    return group >= 0 && group != getpgrp();
}

void bottom_line_draw(struct bytes text)
{
    AUTO_LOCK(&bottom.lock);
    if (!is_writable())
        return;
    buf_reset(&bottom.text);
    if (is_in_background())
        return;
    buf_bytes(&bottom.text, text);
    show();
}

void bottom_line_remove(void)
{
    AUTO_LOCK(&bottom.lock);
    forget();
}

void bottom_line_leave(struct bytes text)
{
    AUTO(buf_release) struct buf line = {.ceiling = TEXT_CEILING};

    AUTO_LOCK(&bottom.lock);
    forget();
    buf_bytes(&line, text);
    buf_char(&line, '\n');
    if (is_writable())
        put(buf_slice(&line));
}

void bottom_line_lift(void)
{
    pthread_mutex_lock(&bottom.lock);
    hide();
}

void bottom_line_lower(void)
{
    show();
    pthread_mutex_unlock(&bottom.lock);
}

#include "common/run/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/clock.h"

#define EVERY_MS 1000

bool progress_is_due(const struct progress *p)
{
    return clock_mono_ms() - p->shown_ms >= EVERY_MS && isatty(STDERR_FILENO);
}

static void print_line(const char *what, int64_t done, int64_t left, int64_t rate)
{
    int64_t percent = done + left > 0 ? done * 100 / (done + left) : 100;
    int64_t seconds = rate > 0 ? left / rate : 0;

    fprintf(stderr,
            "\r%" PRId64 " %s, %" PRId64 "/s, %" PRId64 " %%, %" PRId64 ":%02" PRId64
            " to go\033[K",
            done, what, rate, percent, seconds / 60, seconds % 60);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputc('\n', stderr);
    p->shown = false;
}

void progress_show(struct progress *p, const char *what, int64_t done, int64_t left)
{
    int64_t now = clock_mono_ms(), elapsed = MAX(now - p->shown_ms, 1);

    if (p->shown_ms && done > p->done) {
        print_line(what, done, MAX(left, 0), (done - p->done) * 1000 / elapsed);
        p->shown = true;
    } else {
        progress_end(p);
    }
    p->shown_ms = now;
    p->done = done;
}

#include "common/run/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/auto.h"
#include "common/base/clock.h"

#define EVERY_MS 1000

bool progress_is_due(const struct progress *progress)
{
    return clock_mono_ms() - progress->shown_ms >= EVERY_MS && isatty(STDERR_FILENO);
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

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputc('\n', stderr);
    progress->shown = false;
}

void progress_show(struct progress *progress, const char *what, int64_t done, int64_t left)
{
    int64_t now = clock_mono_ms(), elapsed = MAX(now - progress->shown_ms, 1);

    if (progress->shown_ms && done > progress->done) {
        print_line(what, done, MAX(left, 0), (done - progress->done) * 1000 / elapsed);
        progress->shown = true;
    } else {
        progress_end(progress);
    }
    progress->shown_ms = now;
    progress->done = done;
}

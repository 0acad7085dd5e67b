#include "consumer/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "consumer/applier.h"

#define EVERY_MS 1000

static void add_lag(void *arg, struct partition *p)
{
    int64_t *lag = arg;

    *lag += atomic_load(&p->lag);
}

void progress_show(struct progress *p, struct applier *a)
{
    int64_t now = clock_mono_ms(), records = atomic_load(&a->records), lag = 0;
    int64_t elapsed = now - p->shown_at;

    if (elapsed < EVERY_MS || !isatty(STDERR_FILENO))
        return;
    if (p->shown_at && records > p->records) {
        pool_each(a->pool, add_lag, &lag);
        fprintf(stderr,
                "\r%" PRId64 " records applied, %" PRId64 "/s, %" PRId64 " to come\033[K",
                records, (records - p->records) * 1000 / elapsed, lag);
        p->shown = true;
    } else if (p->shown) {
        fputc('\n', stderr);
        p->shown = false;
    }
    p->shown_at = now;
    p->records = records;
}

#include "producer/doubt.h"

#include <stdio.h>
#include <string.h>

#include "common/base/auto.h"

#define SOONEST_MS 50
#define LATEST_MS 5000

bool doubt_said(struct doubt *d, const char *what, int64_t now_ms, int64_t doubt_ms)
{
    char cut[sizeof(d->what)];

    snprintf(cut, sizeof(cut), "%s", what);
    if (d->times == 0 || strcmp(cut, d->what) != 0) {
        memcpy(d->what, cut, sizeof(cut));
        d->since_ms = now_ms;
        d->times = 0;
    }
    d->times++;
    return d->times >= DOUBT_TIMES && now_ms - d->since_ms >= doubt_ms;
}

void doubt_clear(struct doubt *d)
{
    *d = (struct doubt){0};
}

bool doubt_is_on(const struct doubt *d)
{
    return d->times > 0;
}

int64_t doubt_again_ms(const struct doubt *d, int64_t doubt_ms)
{
    int64_t longest = MAX(MIN(doubt_ms / 4, LATEST_MS), SOONEST_MS);

    return MIN((int64_t)SOONEST_MS << MIN(d->times, 10), longest);
}

#include "common/run/progress_figures.h"

#include "common/base/auto.h"

#define LEFT_MOST_S (100 * 86400) /* what takes longer is not foreseen */

static int percent_of(int64_t done, int64_t left)
{
    if (left < 0)
        return PROGRESS_NOT_KNOWN;
    return done + left > 0 ? (int)MIN(done * 100 / (done + left), 99) : 0;
}

static int64_t left_s_of(int64_t left, int64_t per_s)
{
    int64_t s;

    if (left <= 0 || per_s <= 0)
        return PROGRESS_NOT_KNOWN;
    s = left / per_s + 1;
    return s < LEFT_MOST_S ? s : PROGRESS_NOT_KNOWN;
}

void progress_figures_of(struct progress_figures *ret, int64_t done, int64_t left,
                         int64_t per_s)
{
    *ret = (struct progress_figures){.done = done,
                                     .per_s = per_s,
                                     .left = left,
                                     .left_s = left_s_of(left, per_s),
                                     .percent = percent_of(done, left)};
}

/* common/run/progress_figures.h - how far work is, how fast it goes, how long it takes yet.
 * Pure.
 */
#pragma once

#include <stdint.h>

#define PROGRESS_NOT_KNOWN (-1)

struct progress_figures { /* any but done: PROGRESS_NOT_KNOWN */
    int64_t done;
    int64_t per_s;
    int64_t left;   /* about */
    int64_t left_s; /* until nothing is left, at this rate */
    int percent;    /* below 100: what is left is an estimate, which may be too low */
};

void progress_figures_of(struct progress_figures *ret, int64_t done, int64_t left,
                         int64_t per_s);

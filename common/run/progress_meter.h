/* common/run/progress_meter.h - how fast something grows, from how much there is at each look.
 * Pure. */
#pragma once

#include <stdint.h>

enum {
    PROGRESS_METER_SAMPLES = 11 /* one per look: at one a second the rate is that of 10 s */
};

struct progress_meter { /* {0} begins */
    struct progress_sample {
        int64_t at_ms;
        int64_t done;
    } samples[PROGRESS_METER_SAMPLES];
    unsigned count;
    unsigned oldest;
};

/* What was done goes back when it is taken back, or begins anew: then the rate begins anew. */
void progress_meter_add(struct progress_meter *meter, int64_t now_ms, int64_t done);
/* PROGRESS_NOT_KNOWN before the second sample. */
int64_t progress_meter_per_s(const struct progress_meter *meter);

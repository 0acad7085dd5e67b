#include "producer/commit_pace.h"

#include "common/base/auto.h"

#define LINGER_MS 3 /* for records that come at about the same time */
#define LONGEST_MS 250
#define TIMES_THE_COST 4
#define FULL_BYTES (256 * 1024) /* within LONGEST_MS, either of the two is load */
#define FULL_RECORDS 500
#define WEIGHT 4 /* of earlier costs, against 1 for the newest */

void commit_pace_measured(struct commit_pace *pace, int64_t us)
{
    pace->cost_us = pace->cost_us ? (pace->cost_us * WEIGHT + us) / (WEIGHT + 1) : us;
}

int64_t commit_pace_due_ms(const struct commit_pace *pace, int64_t first_ms, int64_t last_ms,
                           int64_t bytes, int64_t records)
{
    int64_t by_size_ms =
        MAX(bytes * LONGEST_MS / FULL_BYTES, records * LONGEST_MS / FULL_RECORDS);
    int64_t by_cost_ms = pace->cost_us * TIMES_THE_COST / 1000;
    int64_t gap_ms = pace->interval_ms;

    if (gap_ms == 0)
        gap_ms = MIN(MAX(by_size_ms, by_cost_ms), LONGEST_MS);
    return MAX(first_ms + LINGER_MS, last_ms + gap_ms);
}

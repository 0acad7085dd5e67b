#include "producer/commit_pace.h"

#include "common/base/auto.h"

#define LINGER_MS 3 /* what comes together goes together */
#define LONGEST_MS 250
#define TIMES_THE_COST 4
#define FULL_BYTES (256 * 1024) /* either within LONGEST_MS: that is load */
#define FULL_RECORDS 500
#define WEIGHT 4 /* of what was before, against the newest as 1 */

void commit_pace_measured(struct commit_pace *p, int64_t us)
{
    p->cost_us = p->cost_us ? (p->cost_us * WEIGHT + us) / (WEIGHT + 1) : us;
}

int64_t commit_pace_due_ms(const struct commit_pace *p, int64_t first_ms, int64_t last_ms,
                           int64_t bytes, int64_t records)
{
    int64_t by_size_ms =
        MAX(bytes * LONGEST_MS / FULL_BYTES, records * LONGEST_MS / FULL_RECORDS);
    int64_t by_cost_ms = p->cost_us * TIMES_THE_COST / 1000;
    int64_t gap_ms = p->interval_ms;

    if (gap_ms == 0)
        gap_ms = MIN(MAX(by_size_ms, by_cost_ms), LONGEST_MS);
    return MAX(first_ms + LINGER_MS, last_ms + gap_ms);
}

/* producer/commit_pace.h - when the open transaction is committed.
 *
 * A commit stalls its handle, so commits are spaced by what they cost: they take about a fifth
 * of the time at most. A record that comes alone is committed at once; a transaction that fills
 * quickly may stay open for the longest spacing, which makes fewer and larger commits. Pure. */
#pragma once

#include <stdint.h>

struct commit_pace {     /* zeroed: nothing measured yet */
    int64_t interval_ms; /* commit.interval.ms; 0: by cost */
    int64_t cost_us;     /* of a commit, smoothed */
};

void commit_pace_measured(struct commit_pace *pace, int64_t us);
/* first_ms: when the transaction's first record was appended; last_ms: the end of the commit
 * before; bytes, records: appended so far. */
int64_t commit_pace_due_ms(const struct commit_pace *pace, int64_t first_ms, int64_t last_ms,
                           int64_t bytes, int64_t records);

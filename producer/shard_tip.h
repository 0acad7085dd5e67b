/* producer/shard_tip.h - is a shard read to its tip, so that it is complete up to the time of
 * the last request?
 *
 * A few empty answers prove nothing: DynamoDB gives them in the middle of a shard too, while it
 * looks for records. Two things do prove it, on one chain of iterators: a record about as young
 * as the request, and only empty answers behind it; or that nothing came for minutes, which is
 * far longer than an iterator takes through the emptiest shard. Records that are read again
 * behind a horizon are records.
 *
 * Pure: times are given. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TIP_RECORD_MS (2 * 60 * 1000) /* DynamoDB Local tells a record's time to the minute */
#define TIP_QUIET_MS (5 * 60 * 1000)
/* A stream shows a change a moment after the write was acknowledged, usually well below a
 * second (no bound is documented), and the service's time is known to a second. */
#define TIP_DELAY_MS 3000

struct shard_tip {    /* zeroed: nothing is known */
    bool young;       /* the last record was about as young as its request */
    bool proven;      /* and the last answer was empty */
    int64_t quiet_ms; /* monotonic: since when all answers of the chain were empty; 0: no */
    int64_t idle_ms;  /* monotonic: since when nothing came at all; 0: it flows */
};

/* records: of the answer, also those that were appended before; source_ms: the newest one's
 * time, asked_ms: the request's, both the service's; mono_ms: now. */
void shard_tip_answer(struct shard_tip *tip, int64_t records, int64_t source_ms,
                      int64_t asked_ms, int64_t mono_ms);
/* Up to when a shard is complete whose tip is proven by an answer without records. */
int64_t shard_tip_complete_to(int64_t asked_ms);
/* Another iterator is asked for. */
void shard_tip_chain_ends(struct shard_tip *tip);

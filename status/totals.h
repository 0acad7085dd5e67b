/* status/totals.h - what a table's figures come to: how far its snapshot is, how fast, how far
 * the log is behind the source and the target behind the log. Pure. */
#pragma once

#include "status/bridge.h"

struct totals {  /* NOT_KNOWN: can't be told */
    int percent; /* of the snapshot: below 100 until it has ended */
    int64_t rows_per_s;
    int64_t eta_s;        /* until the snapshot has ended; 0: it has */
    int64_t read_lag_ms;  /* all changes older than that are in the log; an idle shard is looked
                             at more often than it says so (up to 10 minutes) */
    int64_t trim_ms;      /* until the stream drops a change that was not read */
    int64_t lag;          /* records that the target does not hold */
    int64_t apply_lag_ms; /* since when the first of them waits */
    int64_t letters;      /* dead ones, unhandled */
    int64_t open_shards;
};

/* before: the same table at an earlier look, of which the rate is told; NULL: since the
 * snapshot began. */
void totals_of(struct totals *ret, const struct bridge *bridge,
               const struct bridge_table *table, const struct bridge *before);

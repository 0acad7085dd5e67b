/* producer/gap_pace.h - how soon a table with a gap begins its next generation.
 *
 * A gap alone is gone on from at once. Gaps in a row (a stream that is read too slowly, a topic
 * that somebody deletes again and again) would each read the whole table for nothing, so the
 * later ones wait. Pure: times are given, in ms. */
#pragma once

#include "common/messages/ledger.h"

/* How many generations in a row begin because of a gap, with the next one: `last` has a gap,
 * and the service's time is now_ms. One whose snapshot was finished for hours ended the row. */
int64_t gap_pace_count(const struct ledger_table *last, int64_t now_ms);
/* How long to wait yet. t: the record of the gap, with its count of gaps and the begin of the
 * last generation; now_ms: the clock that the begin is by. */
int64_t gap_pace_wait_ms(const struct ledger_table *t, int64_t now_ms);
/* From one begin to the next, the last one of `gaps` in a row. */
int64_t gap_pace_pause_ms(int64_t gaps);

/* producer/snapshot.h - scans one segment of a table, a page a step, behind the barrier's
 * tickets.
 *
 * A page and its ledger record are one step under the writer's gate. Pages are strongly
 * consistent and whole; a failed one is asked for again under a new ticket. */
#pragma once

#include "producer/table_worker.h"

/* Scans the segment from where it stands, unless that is going on or it is done. Under w->lock.
 */
void segment_start(struct table_worker *w, struct segment *seg);
/* Under w->lock: every segment that is not done has failed the last times it was asked. */
bool segments_fail(const struct table_worker *w);
/* Under w->lock: how long they are to be left alone then; longer each time. */
int64_t segments_pause_ms(const struct table_worker *w);

/* producer/segment_reader.h - scans one segment of a table, a page a step, behind the barrier's
 * tickets.
 *
 * A page and its ledger record are one step under the writer's gate. Pages are strongly
 * consistent and whole; a failed one is asked for again under a new ticket. */
#pragma once

#include "producer/table_worker.h"

void segment_reader_init(struct segment_reader *seg, struct table_worker *w, int64_t number);
/* Scans the segment from where it stands, unless that is going on or it is done. Under w->lock.
 */
void segment_reader_start(struct table_worker *w, struct segment_reader *seg);
/* Under w->lock. Every segment that is not done has failed several times since the table has
 * its scan slot, or nothing of the table can be appended. */
bool segment_reader_all_fail(const struct table_worker *w);
/* Under w->lock: the table has got a slot. */
void segment_reader_try_anew(struct table_worker *w);

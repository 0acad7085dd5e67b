/* producer/snapshot.h - scans one segment of a table, a page a step, behind the barrier's
 * tickets.
 *
 * A page, its ledger record and, with the last page of the table, the end of the snapshot are
 * one step under the writer's gate. Pages are strongly consistent and whole; a failed one is
 * asked for again under a new ticket. */
#pragma once

#include "producer/table_worker.h"

/* Scans the segment from where it stands, unless that is going on or it is done. Under w->lock.
 */
void segment_start(struct table_worker *w, struct segment *seg);

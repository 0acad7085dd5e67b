/* producer/request_offset.h - up to where a table's requests are handled, and what became of
 * the last ones.
 *
 * Both are part of the table's record: they change in the transaction of what the request
 * caused, and go back with an abort. */
#pragma once

#include "producer/signal_topic.h"
#include "producer/table_worker.h"

/* Of what was appended; -1: the table never had one. */
int64_t request_offset_handled(struct table_worker *w);
/* Requests that an abort can't bring back any more are forgotten. */
void request_offset_forget_committed(struct table_worker *w);
/* Is this the next one to be handled? Under the gate it stays so. */
bool request_offset_is_next(struct table_worker *w, const struct pending_signal *pending);
/* Under the worker's lock, in a change of its record: it is handled. refused: why, "": it was
 * not. */
void request_offset_note(struct table_worker *w, const struct pending_signal *pending,
                         const char *refused);
/* Under the gate: it is done, and nothing else of the record changes. */
int request_offset_pass(struct append_context *a, const struct pending_signal *pending,
                        struct error *err);
/* Requests from here on are for the table. In an append of its own, as table_record_change. */
int request_offset_begin(struct append_context *a, int64_t offset, struct error *err);

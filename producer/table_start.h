/* producer/table_start.h - how a table begins: a new generation, or going on from the ledger.
 *
 * The requests and appends of the control step before WORKER_RUNNING, after start_decision. */
#pragma once

#include "common/dynamodb/ddb_table.h"
#include "producer/table_worker.h"

/* One try to start: sets w->state or halts the table. Returns when to come again. */
int64_t table_start(struct append_context *a);

/* Its parts, for its test too. w->known becomes what is committed now: commits of requests may
 * still change that.
 */
void table_start_note_known(struct table_worker *w);
/* True: the table can be read, and its stream is there or not needed. Else *ret_delay: when to
 * come again, unless the table is halted. */
bool table_start_has_stream(struct append_context *a, const struct ddb_table *desc,
                            int64_t *ret_delay);

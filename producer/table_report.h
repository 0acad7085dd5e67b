/* producer/table_report.h - somebody waits to hear how far a table is read (a request of type
 * report).
 *
 * Each shard then says in its own record up to when it is read. That is worth only as much as
 * the list of shards: so all of them are listed anew, and once the ledger has every one that
 * was found, the table's record says when that listing began. Who asks again while it is under
 * way does not lose it. The question is lost with the program; who waits repeats it. */
#pragma once

#include "producer/table_worker.h"

/* Under lock. */
void table_report_ask(struct table_worker *w);
/* Under lock: how long until all shards are to be listed, in ms; -1: they are not. */
int64_t table_report_list_ms(const struct table_worker *w);
/* Of the look's step: a listing begins. Under lock: the whole of it is in the tree. */
void table_report_list_begins(struct table_worker *w);
void table_report_listed(struct table_worker *w);
/* Of the requests' step: writes the table's record when there is something to say. Returns when
 * to come again, at the latest after idle_ms; STEP_END: fenced. */
int64_t table_report_go_on(struct append_context *a, int64_t idle_ms);

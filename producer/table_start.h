/* producer/table_start.h - how a table begins: a new generation, or going on from the ledger.
 *
 * The requests and appends of the control step before WORKER_RUN, after start_decision. */
#pragma once

#include "producer/table_worker.h"

/* One try to start: sets w->state or fails the table. Returns when to come again. */
int64_t table_start(struct table_worker *w, struct pool_local *local);

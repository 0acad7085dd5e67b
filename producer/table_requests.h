/* producer/table_requests.h - the step that handles a table's requests, one after another.
 *
 * Each is handled once: the handled offset is part of the table's record, moved in the
 * transaction of what the request caused, and goes back with an abort. The step lives as long
 * as the worker, also when the table is halted: what can't be done then is refused, by name,
 * in the log and the metrics, and passed. */
#pragma once

#include "producer/table_worker.h"

void table_requests_init(struct table_worker *w);
/* Once its record could be read: the requests from its offset on are for it. */
void table_requests_start(struct table_worker *w);
/* The step has ended, or was never started. */
void table_requests_release(struct table_worker *w);

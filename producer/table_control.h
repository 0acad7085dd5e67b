/* producer/table_control.h - one table's control step: starts it, keeps its segments and shards
 * running, writes its own record, stops it in a clear state. */
#pragma once

#include "producer/table_worker.h"

/* The run function of worker->control. */
int64_t table_control_step(void *worker, void *local);

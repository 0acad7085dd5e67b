/* producer/table_control.h - one table's control step: its life, from the start to a stop.
 *
 * It starts what should run and does not, and appends whatever the ledger does not have yet:
 * the table's own record, first records of shards, the snapshot's end, tombstones. */
#pragma once

#include "producer/table_worker.h"

void table_control_init(struct table_worker *w);

/* producer/table_control.h - one table's control step: its life, from the start to a halt.
 *
 * It starts what should run and does not, has what is due appended (ledger_dues.h), halts the
 * table, and looks at a halted one again. */
#pragma once

#include "producer/table_worker.h"

void table_control_init(struct table_worker *w);

/* producer/plan.h - which tables are carried, and in which ledger partition each is placed.
 *
 * The owner of ledger partition 0 looks for tables, places new ones (placement.h) and says
 * whose ledger it is. */
#pragma once

#include "producer/ledger_partition.h"
#include "producer/producer.h"

/* ---- discovery: a step on the pool, for as long as partition 0 is owned ---- */

struct plan;

/* alone: all partitions of the ledger are this instance's, nobody else carries anything. */
struct plan *plan_start(struct producer *p, struct ledger_partition *zero, bool alone);
void plan_set_alone(struct plan *plan, bool alone);
/* Every table of the source that can be placed was seen to be, as of the last look; false
 * before the first. */
bool plan_is_settled(const struct plan *plan);
void plan_stop(struct plan *plan); /* returns at once; a look under way ends by itself */

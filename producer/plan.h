/* producer/plan.h - which tables are carried, and in which ledger partition each is placed.
 *
 * A step on the pool for as long as ledger partition 0 is owned: it lists the source's tables,
 * places new ones (placement.h) and says whose ledger it is. Functions: the owner's thread. */
#pragma once

#include "producer/ledger_handle.h"

struct plan;

/* zero: of partition 0. alone: all partitions of the ledger are this instance's, so that nobody
 * else carries anything. */
struct plan *plan_start(struct ledger_handle *zero, bool alone);
void plan_set_alone(struct plan *plan, bool alone);
/* As of the last look, every table of the source that can be placed is; false before the first
 * look. */
bool plan_is_settled(const struct plan *plan);
/* Returns at once; a look under way ends by itself. */
void plan_stop(struct plan *plan);

/* producer/ledger_keeper.h - the records of an owned ledger partition that are no table's:
 * which tables its owner carries, and the tombstones of tables that are forgotten
 * (placement.h).
 *
 * A step on the pool, which appends by itself; the owner's thread tells it what to do. */
#pragma once

#include "producer/ledger_handle.h"

struct ledger_keeper;

struct ledger_keeper *ledger_keeper_start(struct ledger_handle *handle);
/* Removes all records of the table in one transaction. No worker of the table may be left. */
void ledger_keeper_forget(struct ledger_keeper *keeper, const char *table);
/* A worker of the table begins: what it writes is not removed. */
void ledger_keeper_keep(struct ledger_keeper *keeper, const char *table);
/* Returns at once. */
void ledger_keeper_stop(struct ledger_keeper *keeper);

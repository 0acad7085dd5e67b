/* producer/ledger_keeper.h - the records of an open ledger partition that are no table's: what
 * its owner carries, and the tombstones of tables that are forgotten (placement.h).
 *
 * A step on the pool, with appends of its own; the owner's thread tells it what to do. */
#pragma once

#include "producer/producer.h"
#include "producer/topic_writer.h"

struct ledger_keeper;
struct ledger_partition;

struct ledger_keeper *ledger_keeper_start(struct producer *p, struct ledger_partition *home,
                                          struct topic_writer *writer, int32_t partition);
/* All records of the table go, in one transaction. No worker of it may be left. */
void ledger_keeper_forget(struct ledger_keeper *k, const char *table);
void ledger_keeper_stop(struct ledger_keeper *k); /* returns at once */

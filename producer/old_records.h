/* producer/old_records.h - the ledger's records of earlier generations that say nothing in a
 * new one: shards that are not of its stream, segments beyond its number. Without their
 * tombstones each generation on another stream would leave its shards in the ledger for good.
 */
#pragma once

#include "producer/producer.h"
#include "producer/shard_tree.h"

/* Under the gate, with the begin of t, whose shards are in tree. What the cache does not know
 * yet stays, and is of no harm. ERR_ABORT. */
int old_records_append_tombstones(struct append_context *a, const struct ledger_table *t,
                                  const struct shard_tree *tree, struct error *err);

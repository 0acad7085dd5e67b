/* producer/table_adopt.h - begins a new generation of a table: its shards are listed, its topic
 * made or looked at; then begin, record and shards are one transaction. Of the control step. */
#pragma once

#include "common/dynamodb/ddb_table.h"
#include "producer/table_worker.h"

/* One try. desc: the table as it was just described. Returns when to come again; the state is
 * ADOPTING when all of it is appended. */
int64_t table_adopt(struct append_context *a, const struct ddb_table *desc);

/* Its append, for its test too. Takes what t and tree point to, on success. 1: not now; the
 * step is woken. */
int table_adopt_append(struct append_context *a, struct ledger_table *t,
                       struct shard_tree *tree, struct error *err);

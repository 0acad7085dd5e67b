/* producer/shard_take_over.h - the shards of a generation that goes on where a stopped
 * NimoShake was: without rows, since its target has them.
 *
 * Possible only when nothing that it has not read can have been trimmed: each shard that it did
 * not finish is still listed, every shard that it does not know descends from one that it does,
 * and what is to be read is younger than a gap. Pure. */
#pragma once

#include "common/dynamodb/ddb_stream.h"
#include "producer/nimoshake_checkpoint.h"
#include "producer/shard_tree.h"

/* Fills tree (zeroed) as shard_listing_adopt does. now_ms: the service's time. NULL, or why it
 * is not possible, for the caller to free: then tree is to be released. */
char *shard_take_over(struct shard_tree *tree, const struct ddb_stream *stream,
                      const struct nimoshake_table *checkpoints, int64_t generation,
                      int64_t now_ms);

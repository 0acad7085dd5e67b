/* producer/nimoshake_checkpoint.h - how far a stopped NimoShake has read one shard, from the
 * document of its checkpoint, in either spelling of the fields (ShardId, shard_id).
 *
 * Pure. */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nimoshake_progress {
    NIMOSHAKE_DONE,   /* all that counts is in its target */
    NIMOSHAKE_BEHIND, /* all up to `sequence` is */
    NIMOSHAKE_BEFORE, /* nothing of it can be relied on: read from the horizon on */
};

struct nimoshake_shard {
    char *id;
    char *parent; /* "" for none */
    enum nimoshake_progress progress;
    char *sequence;     /* NIMOSHAKE_BEHIND; else "" */
    bool found_by_copy; /* it was there when NimoShake's copy began, which has what stood above
                           it */
    int64_t complete_to_ms; /* everything older than that is in its target; 0: not known */
};

struct nimoshake_table {
    char *name;
    struct nimoshake_shard *shards;
    size_t count;
};

/* The shard's own time, as its name tells it ("shardId-00000001567497561747-03819eba"); 0: it
 * tells none. */
int64_t nimoshake_checkpoint_shard_time(const char *id);
/* False: it is no checkpoint of a shard. ret is the caller's to release. */
bool nimoshake_checkpoint_read(struct nimoshake_shard *ret, const bson_t *document);
/* "incr_sync", "full_sync", or "" of the document in status_table, in either spelling. */
void nimoshake_checkpoint_status(char *ret, size_t size, const bson_t *document);
/* NULL: it had none of this shard. */
const struct nimoshake_shard *nimoshake_checkpoint_find(const struct nimoshake_table *table,
                                                        const char *id);
void nimoshake_checkpoint_table_release(struct nimoshake_table *table);

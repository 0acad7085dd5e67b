#include "producer/old_records.h"

#include <stdlib.h>

#include "producer/append.h"
#include "producer/table_worker.h"

struct old_records {
    const struct ledger_table *t;
    const struct shard_tree *tree;
    char **shards;
    size_t shard_count;
    int64_t *segments;
    size_t segment_count;
};

static void old_records_release(struct old_records *old)
{
    for (size_t i = 0; i < old->shard_count; i++)
        free(old->shards[i]);
    free(old->shards);
    free(old->segments);
}

static void note_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct old_records *old = arg;
    AUTO(free_charp) char *id = bytes_dup(rest);

    (void)value;
    (void)partition;
    if (shard_tree_find(old->tree, id))
        return;
    old->shards = xrealloc(old->shards, sizeof(*old->shards) * (old->shard_count + 1));
    old->shards[old->shard_count++] = TAKE(id);
}

static void note_segment(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct old_records *old = arg;
    AUTO(free_charp) char *number = bytes_dup(rest);
    int64_t segment = strtoll(number, NULL, 10);

    (void)value;
    (void)partition;
    if (segment < old->t->segments)
        return;
    old->segments = xrealloc(old->segments, sizeof(*old->segments) * (old->segment_count + 1));
    old->segments[old->segment_count++] = segment;
}

int old_records_append_tombstones(struct append_context *a, const struct ledger_table *t,
                                  const struct shard_tree *tree, struct error *err)
{
    struct ledger_cache *cache = a->w->p->cache;
    AUTO(free_charp) char *shards = xasprintf("shard/%s/", t->table);
    AUTO(free_charp) char *segments = xasprintf("segment/%s/", t->table);
    AUTO(old_records_release) struct old_records old = {.t = t, .tree = tree};

    ledger_cache_each(cache, shards, note_shard, &old);
    ledger_cache_each(cache, segments, note_segment, &old);
    for (size_t i = 0; i < old.shard_count; i++)
        if (append_ledger_shard_tombstone(a, old.shards[i], err) < 0)
            return -1;
    for (size_t i = 0; i < old.segment_count; i++)
        if (append_ledger_segment_tombstone(a, old.segments[i], err) < 0)
            return -1;
    return 0;
}

#include "consumer/checkpoint_table.h"

#include <stdlib.h>

#include "common/kafka/kafka_topic.h"
#include "consumer/partition.h"
#include "consumer/position_store.h"

#define TIMEOUT_MS 5000

struct checkpoint_table *checkpoint_table_new(const char *name)
{
    struct checkpoint_table *t = xcalloc(1, sizeof(*t));

    t->name = xstrdup(name);
    return t;
}

void checkpoint_table_free(struct checkpoint_table *t)
{
    if (!t)
        return;
    checkpoint_cut_free(t->cut);
    free(t->name);
    free(t);
}

/* ---- a cut ---- */

struct taking {
    struct checkpoint_cut *cut;
    const char *mark;
};

/* A shard's record that can't be read is one that a newer version has written. */
static void add_shard(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct taking *taking = arg;
    struct ledger_shard shard = {0};
    struct error ignored;

    (void)rest;
    (void)partition;
    if (ledger_shard_decode(&shard, value, &ignored) < 0)
        return;
    if (shard.generation == taking->cut->generation)
        checkpoint_cut_add(taking->cut, &shard, taking->mark);
    ledger_shard_release(&shard);
}

static struct checkpoint_cut *take(const struct checkpoint_source *from,
                                   const struct ledger_table *record)
{
    AUTO(free_charp) char *prefix = xasprintf("shard/%s/", record->table);
    struct taking taking = {checkpoint_cut_new(record), from->mark};

    ledger_cache_each(from->ledger, prefix, add_shard, &taking);
    return taking.cut;
}

static void replace(struct checkpoint_table *t, struct checkpoint_cut *cut)
{
    checkpoint_cut_free(t->cut);
    t->cut = cut;
    t->applied = false;
}

static void renew(struct checkpoint_table *t, const struct checkpoint_source *from,
                  const struct ledger_table *record)
{
    AUTO(checkpoint_cut_freep) struct checkpoint_cut *cut = NULL;

    if (t->cut && !checkpoint_cut_is_of(t->cut, record))
        replace(t, NULL);
    if (t->cut && !t->applied)
        return;
    cut = take(from, record);
    if (!t->cut || !checkpoint_cut_equal(t->cut, cut))
        replace(t, TAKE(cut));
}

/* ---- is it applied? ---- */

static int ask_ends(struct checkpoint_cut *cut, const struct checkpoint_source *from,
                    const char *topic, struct error *err)
{
    int64_t *ends = xcalloc((size_t)cut->partitions, sizeof(*ends));

    if (kafka_topic_end_offsets(ends, from->rk, topic, 0, cut->partitions, TIMEOUT_MS, err) <
        0) {
        free(ends);
        return -1;
    }
    cut->ends = ends;
    return 0;
}

static int read_some(struct position_doc *ret, const struct checkpoint_source *from,
                     const char *topic, int32_t first, int32_t count, struct error *err)
{
    char *ids[POSITION_MANY_MAX] = {NULL};
    enum mongo_result result;

    for (int32_t i = 0; i < count; i++)
        ids[i] = partition_id(topic, first + i);
    result =
        position_store_read(from->mongo, (const char *const *)ids, (size_t)count, ret, err);
    for (int32_t i = 0; i < count; i++)
        free(ids[i]);
    return result == MONGO_DONE ? 0 : -1;
}

static int see_applied(struct checkpoint_table *t, const struct checkpoint_source *from,
                       const char *topic, struct error *err)
{
    int32_t left = t->cut->partitions, count;
    struct position_doc *positions = xcalloc((size_t)left, sizeof(*positions));
    int result = 0;

    for (int32_t at = 0; left > 0 && result == 0; at += count, left -= count) {
        count = MIN(left, POSITION_MANY_MAX);
        result = read_some(positions + at, from, topic, at, count, err);
    }
    if (result == 0)
        t->applied = checkpoint_cut_is_applied(t->cut, positions);
    free(positions);
    return result;
}

int checkpoint_table_follow(struct checkpoint_table *t, const struct checkpoint_source *from,
                            const struct ledger_table *record, struct error *err)
{
    if (record->generation == 0)
        return 0;
    renew(t, from, record);
    if (t->applied)
        return 0;
    if (!t->cut->ends && ask_ends(t->cut, from, record->topic, err) < 0)
        return -1;
    if (see_applied(t, from, record->topic, err) < 0)
        return -1;
    if (!t->applied)
        return 0;
    t->known = true;
    t->copied = t->cut->copied;
    return 1;
}

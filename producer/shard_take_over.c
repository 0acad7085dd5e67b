#include "producer/shard_take_over.h"

#include <stdlib.h>

struct take_over {
    struct shard_tree *tree;
    const struct ddb_stream *stream;
    const struct nimoshake_table *checkpoints;
    int64_t generation;
    int64_t now_ms;
};

static const struct ddb_shard *listed(const struct take_over *to, const char *id)
{
    for (size_t i = 0; i < to->stream->shard_count; i++)
        if (strcmp(to->stream->shards[i].id, id) == 0)
            return &to->stream->shards[i];
    return NULL;
}

static void add(const struct take_over *to, const struct ddb_shard *from,
                enum shard_status status, const char *sequence, int64_t complete_to_ms)
{
    struct ledger_shard shard_record = {.generation = to->generation,
                                        .id = xstrdup(from->id),
                                        .parent = xstrdup(from->parent),
                                        .status = status,
                                        .sequence = xstrdup(sequence),
                                        .updated_ms = to->now_ms,
                                        .complete_to_ms = complete_to_ms,
                                        .adopted = true};

    shard_tree_add(to->tree, &shard_record);
}

/* ---- shards that it knew ---- */

static void add_known(const struct take_over *to, const struct ddb_shard *from,
                      const struct nimoshake_shard *known)
{
    static const enum shard_status statuses[] = {[NIMOSHAKE_DONE] = SHARD_DONE,
                                                 [NIMOSHAKE_BEHIND] = SHARD_IN_PROCESSING,
                                                 [NIMOSHAKE_BEFORE] = SHARD_PREPARE};

    add(to, from, statuses[known->progress], known->sequence, known->complete_to_ms);
}

static char *add_all_known(const struct take_over *to)
{
    for (size_t i = 0; i < to->checkpoints->count; i++) {
        const struct nimoshake_shard *known = &to->checkpoints->shards[i];
        const struct ddb_shard *from = listed(to, known->id);

        if (from && !shard_tree_find(to->tree, known->id))
            add_known(to, from, known);
        else if (!from && known->progress != NIMOSHAKE_DONE)
            return xasprintf("shard %s, which it had not read to its end, is not listed any "
                             "more",
                             known->id);
    }
    return NULL;
}

/* ---- shards that it did not know ---- */

/* It stands above one that was there when the copy began, which has all that it holds. */
static bool is_ancestor(const struct take_over *to, const char *id)
{
    for (struct tree_shard *shard = to->tree->shards; shard; shard = shard->hh.next) {
        const struct nimoshake_shard *known =
            nimoshake_checkpoint_find(to->checkpoints, shard->now.id);

        if (strcmp(shard->now.parent, id) == 0 &&
            (known ? known->found_by_copy : shard->now.status == SHARD_NO_NEED))
            return true;
    }
    return false;
}

/* Behind a shard that is in the tree, or behind one that it had finished and that is not listed
 * any more. */
static bool is_descendant(const struct take_over *to, const struct ddb_shard *from)
{
    return *from->parent && (shard_tree_find(to->tree, from->parent) ||
                             nimoshake_checkpoint_find(to->checkpoints, from->parent));
}

/* One round; false: nothing was added. What is both stands between two that it knew, and was
 * not read. */
static bool add_some(const struct take_over *to)
{
    bool added = false;

    for (size_t i = 0; i < to->stream->shard_count; i++) {
        const struct ddb_shard *from = &to->stream->shards[i];
        bool above = is_ancestor(to, from->id), below = is_descendant(to, from);

        if (shard_tree_find(to->tree, from->id) || above == below)
            continue;
        if (above)
            add(to, from, SHARD_NO_NEED, "", 0);
        else
            add(to, from, SHARD_WAIT_FATHER, "", nimoshake_checkpoint_shard_time(from->id));
        added = true;
    }
    return added;
}

static char *add_all_others(const struct take_over *to)
{
    while (add_some(to))
        ;
    for (size_t i = 0; i < to->stream->shard_count; i++)
        if (!shard_tree_find(to->tree, to->stream->shards[i].id))
            return xasprintf("shard %s neither follows on one that it knew nor leads to one",
                             to->stream->shards[i].id);
    return shard_tree_count(to->tree) > 0
               ? NULL
               : xstrdup("the stream has no shard that follows on one that it knew");
}

/* ---- ages ---- */

static char *check_ages(const struct take_over *to)
{
    for (struct tree_shard *shard = to->tree->shards; shard; shard = shard->hh.next) {
        int64_t age_ms = to->now_ms - shard_complete_to(to->tree, shard);

        if (!shard_is_finished(shard) && age_ms > SHARD_GAP_MS)
            return xasprintf("what is to be read of shard %s may be older than 23 h, and "
                             "trimmed",
                             shard->now.id);
    }
    return NULL;
}

char *shard_take_over(struct shard_tree *tree, const struct ddb_stream *stream,
                      const struct nimoshake_table *checkpoints, int64_t generation,
                      int64_t now_ms)
{
    const struct take_over to = {tree, stream, checkpoints, generation, now_ms};
    char *why = add_all_known(&to);

    if (!why)
        why = add_all_others(&to);
    shard_tree_link(tree);
    if (!why)
        why = check_ages(&to);
    tree->listed_ms = now_ms;
    return why;
}

#include "producer/shard_listing.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

static struct ledger_shard shard_new(const struct ddb_shard *from, int64_t generation,
                                     enum shard_status status, int64_t complete_to_ms,
                                     int64_t now_ms)
{
    return (struct ledger_shard){
        .generation = generation,
        .id = xstrdup(from->id),
        .parent = xstrdup(from->parent),
        .status = status,
        .sequence = xstrdup(""),
        .updated_ms = now_ms,
        .complete_to_ms = complete_to_ms,
    };
}

/* ---- the adoption ---- */

static void keep_position(struct ledger_shard *shard_record, const struct shard_tree *old,
                          int64_t now_ms)
{
    const struct tree_shard *known = old ? shard_tree_find(old, shard_record->id) : NULL;

    if (!known || !known->committed.sequence[0] ||
        known->committed.complete_to_ms < now_ms - SHARD_GAP_MS)
        return;
    free(shard_record->sequence);
    shard_record->sequence = xstrdup(known->committed.sequence);
    shard_record->records = known->committed.records;
    shard_record->source_ms = known->committed.source_ms;
    shard_record->status = SHARD_IN_PROCESSING;
}

struct parent_name {
    const char *id;
    UT_hash_handle hh;
};

/* What is listed as open on an old page may have a child on a newer one: it is closed, and the
 * scan shows all it holds. */
static struct parent_name *names_of_parents(const struct ddb_stream *stream,
                                            struct parent_name *names)
{
    struct parent_name *by_id = NULL, *found;

    for (size_t i = 0; i < stream->shard_count; i++) {
        names[i].id = stream->shards[i].parent;
        HASH_FIND(hh, by_id, names[i].id, strlen(names[i].id), found);
        if (!found)
            HASH_ADD_KEYPTR(hh, by_id, names[i].id, strlen(names[i].id), &names[i]);
    }
    return by_id;
}

void shard_listing_adopt(struct shard_tree *tree, const struct ddb_stream *stream,
                         int64_t generation, int64_t now_ms, const struct shard_tree *old)
{
    struct parent_name *names = xcalloc(MAX(stream->shard_count, 1), sizeof(*names));
    struct parent_name *parents = names_of_parents(stream, names), *child;

    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct ddb_shard *from = &stream->shards[i];
        struct ledger_shard shard_record;
        bool open;

        HASH_FIND(hh, parents, from->id, strlen(from->id), child);
        open = !from->ending[0] && !child;
        shard_record =
            shard_new(from, generation, open ? SHARD_PREPARE : SHARD_NO_NEED, now_ms, now_ms);
        shard_record.adopted = true;
        if (open)
            keep_position(&shard_record, old, now_ms);
        shard_tree_add(tree, &shard_record);
    }
    HASH_CLEAR(hh, parents);
    free(names);
    shard_tree_link(tree);
    tree->listed_ms = now_ms;
}

/* ---- later listings ---- */

struct candidate { /* listed, and not in the tree yet */
    const struct ddb_shard *from;
    struct candidate *parent; /* NULL: not among them */
    bool no_need;             /* it stands above a shard of the adoption */
    bool leads_on;            /* it is open, or stands above one that is, or that is known */
    bool visited;
    bool added;
    UT_hash_handle hh;
};

struct merge {
    struct shard_tree *tree;
    struct candidate *all;
    struct candidate *by_id;
    size_t count;
    int64_t generation;
    int64_t now_ms;
    struct listing_result *result;
};

static struct candidate *candidate_find(const struct merge *merge, const char *id)
{
    struct candidate *candidate;

    HASH_FIND(hh, merge->by_id, id, strlen(id), candidate);
    return candidate;
}

static void collect(struct merge *merge, const struct ddb_stream *stream)
{
    merge->all = xcalloc(MAX(stream->shard_count, 1), sizeof(*merge->all));
    for (size_t i = 0; i < stream->shard_count; i++) {
        const char *id = stream->shards[i].id;
        struct candidate *candidate = &merge->all[merge->count];

        if (shard_tree_find(merge->tree, id) || candidate_find(merge, id))
            continue;
        candidate->from = &stream->shards[i];
        HASH_ADD_KEYPTR(hh, merge->by_id, candidate->from->id, strlen(id), candidate);
        merge->count++;
    }
    for (size_t i = 0; i < merge->count; i++)
        if (merge->all[i].from->parent[0])
            merge->all[i].parent = candidate_find(merge, merge->all[i].from->parent);
}

static bool has_begun(const struct tree_shard *shard)
{
    return shard->reader || shard->now.sequence[0] ||
           shard->now.status == SHARD_IN_PROCESSING || shard_is_finished(shard);
}

static void mark_leads_on(struct candidate *candidate)
{
    for (; candidate && !candidate->leads_on; candidate = candidate->parent)
        candidate->leads_on = true;
}

static void mark_no_need(struct candidate *candidate)
{
    for (; candidate && !candidate->no_need; candidate = candidate->parent)
        candidate->no_need = true;
}

/* What the known shards whose parents were not known say about the new ones. */
static void mark_ancestors(struct merge *merge)
{
    for (struct tree_shard *shard = merge->tree->shards; shard; shard = shard->hh.next) {
        struct candidate *candidate = shard->parent || !shard->now.parent[0]
                                          ? NULL
                                          : candidate_find(merge, shard->now.parent);

        if (!candidate)
            continue;
        if (MUTATED(late_parent))
            mark_leads_on(candidate);
        else if (shard->now.adopted || shard->now.status == SHARD_NO_NEED)
            mark_no_need(candidate);
        else if (has_begun(shard))
            merge->result->reversed = shard->now.id;
        else
            mark_leads_on(candidate);
    }
}

/* Its parent is in the tree, or it has none. NULL: it has none. */
static bool parent_is_known(const struct merge *merge, const struct candidate *candidate,
                            struct tree_shard **ret)
{
    *ret = candidate->from->parent[0] ? shard_tree_find(merge->tree, candidate->from->parent)
                                      : NULL;
    return *ret || !candidate->from->parent[0];
}

/* Of what has no parent. */
static int64_t complete_to(const struct merge *merge)
{
    return MUTATED(late_root) ? merge->now_ms : merge->tree->listed_ms;
}

static void add_candidate(struct merge *merge, struct candidate *candidate,
                          const struct tree_shard *parent)
{
    enum shard_status status = candidate->no_need ? SHARD_NO_NEED
                               : parent           ? SHARD_WAIT_FATHER
                                                  : SHARD_NOT_PROCESS;
    struct ledger_shard shard_record =
        shard_new(candidate->from, merge->generation, status,
                  parent ? parent->now.complete_to_ms : complete_to(merge), merge->now_ms);

    shard_tree_add(merge->tree, &shard_record);
    candidate->added = true;
    merge->result->added++;
}

/* Its parent, if it is a new one too, was looked at before. */
static void decide(struct merge *merge, struct candidate *candidate)
{
    struct tree_shard *parent;
    bool known = parent_is_known(merge, candidate, &parent);
    bool parent_is_read = parent && parent->now.status != SHARD_NO_NEED;

    if (candidate->no_need && parent_is_read)
        merge->result->reversed = parent->now.id;
    else if (candidate->no_need)
        add_candidate(merge, candidate, parent);
    else if (!candidate->leads_on && !parent_is_read)
        merge->result->stray = candidate->from->id;
    else if (known)
        add_candidate(merge, candidate, parent);
    else
        merge->result->orphan = candidate->from->id;
}

/* The candidate and those above it, the uppermost first; whatever the listing says, this ends.
 */
static void decide_lineage(struct merge *merge, struct candidate *candidate,
                           struct candidate **lineage)
{
    size_t n = 0;

    for (; candidate && !candidate->visited; candidate = candidate->parent) {
        candidate->visited = true;
        lineage[n++] = candidate;
    }
    while (n > 0)
        decide(merge, lineage[--n]);
}

void shard_listing_merge(struct shard_tree *tree, const struct ddb_stream *stream, bool whole,
                         int64_t generation, int64_t now_ms, struct listing_result *ret)
{
    struct merge merge = {
        .tree = tree, .generation = generation, .now_ms = now_ms, .result = ret};
    struct candidate **lineage;

    *ret = (struct listing_result){0};
    collect(&merge, stream);
    mark_ancestors(&merge);
    for (size_t i = 0; i < merge.count; i++)
        if (!merge.all[i].from->ending[0])
            mark_leads_on(&merge.all[i]);
    lineage = xcalloc(merge.count + 1, sizeof(struct candidate *));
    for (size_t i = 0; i < merge.count; i++)
        decide_lineage(&merge, &merge.all[i], lineage);
    free(lineage);
    HASH_CLEAR(hh, merge.by_id);
    free(merge.all);
    if (ret->added > 0)
        shard_tree_link(tree);
    tree->listed = tree->listed || whole;
    if (whole)
        tree->listed_ms = now_ms;
}

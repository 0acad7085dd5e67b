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

static void keep_position(struct ledger_shard *s, const struct shard_tree *old, int64_t now_ms)
{
    const struct tree_shard *known = old ? shard_tree_find(old, s->id) : NULL;

    if (!known || !known->committed.sequence[0] ||
        known->committed.complete_to_ms < now_ms - SHARD_GAP_MS)
        return;
    free(s->sequence);
    s->sequence = xstrdup(known->committed.sequence);
    s->records = known->committed.records;
    s->source_ms = known->committed.source_ms;
    s->status = SHARD_IN_PROCESSING;
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

void shard_listing_adopt(struct shard_tree *t, const struct ddb_stream *stream,
                         int64_t generation, int64_t now_ms, const struct shard_tree *old)
{
    struct parent_name *names = xcalloc(MAX(stream->shard_count, 1), sizeof(*names));
    struct parent_name *parents = names_of_parents(stream, names), *child;

    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct ddb_shard *from = &stream->shards[i];
        struct ledger_shard s;
        bool open;

        HASH_FIND(hh, parents, from->id, strlen(from->id), child);
        open = !from->ending[0] && !child;
        s = shard_new(from, generation, open ? SHARD_PREPARE : SHARD_NO_NEED, now_ms, now_ms);
        s.adopted = true;
        if (open)
            keep_position(&s, old, now_ms);
        shard_tree_add(t, &s);
    }
    HASH_CLEAR(hh, parents);
    free(names);
    shard_tree_link(t);
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

static struct candidate *candidate_find(const struct merge *m, const char *id)
{
    struct candidate *c;

    HASH_FIND(hh, m->by_id, id, strlen(id), c);
    return c;
}

static void collect(struct merge *m, const struct ddb_stream *stream)
{
    m->all = xcalloc(MAX(stream->shard_count, 1), sizeof(*m->all));
    for (size_t i = 0; i < stream->shard_count; i++) {
        const char *id = stream->shards[i].id;
        struct candidate *c = &m->all[m->count];

        if (shard_tree_find(m->tree, id) || candidate_find(m, id))
            continue;
        c->from = &stream->shards[i];
        HASH_ADD_KEYPTR(hh, m->by_id, c->from->id, strlen(id), c);
        m->count++;
    }
    for (size_t i = 0; i < m->count; i++)
        if (m->all[i].from->parent[0])
            m->all[i].parent = candidate_find(m, m->all[i].from->parent);
}

static bool has_begun(const struct tree_shard *s)
{
    return s->reader || s->now.sequence[0] || s->now.status == SHARD_IN_PROCESSING ||
           shard_is_finished(s);
}

static void mark_leads_on(struct candidate *c)
{
    for (; c && !c->leads_on; c = c->parent)
        c->leads_on = true;
}

static void mark_no_need(struct candidate *c)
{
    for (; c && !c->no_need; c = c->parent)
        c->no_need = true;
}

/* What the known shards whose parents were not known say about the new ones. */
static void mark_ancestors(struct merge *m)
{
    for (struct tree_shard *s = m->tree->shards; s; s = s->hh.next) {
        struct candidate *c =
            s->parent || !s->now.parent[0] ? NULL : candidate_find(m, s->now.parent);

        if (!c)
            continue;
        if (MUTATED(late_parent))
            mark_leads_on(c);
        else if (s->now.adopted || s->now.status == SHARD_NO_NEED)
            mark_no_need(c);
        else if (has_begun(s))
            m->result->reversed = s->now.id;
        else
            mark_leads_on(c);
    }
}

/* Its parent is in the tree, or it has none. NULL: it has none. */
static bool parent_is_known(const struct merge *m, const struct candidate *c,
                            struct tree_shard **ret)
{
    *ret = c->from->parent[0] ? shard_tree_find(m->tree, c->from->parent) : NULL;
    return *ret || !c->from->parent[0];
}

static void add_candidate(struct merge *m, struct candidate *c, const struct tree_shard *parent)
{
    enum shard_status status = c->no_need ? SHARD_NO_NEED
                               : parent   ? SHARD_WAIT_FATHER
                                          : SHARD_NOT_PROCESS;
    struct ledger_shard s =
        shard_new(c->from, m->generation, status,
                  parent ? parent->now.complete_to_ms : m->now_ms, m->now_ms);

    shard_tree_add(m->tree, &s);
    c->added = true;
    m->result->added++;
}

/* Its parent, if it is a new one too, was looked at before. */
static void decide(struct merge *m, struct candidate *c)
{
    struct tree_shard *parent;
    bool known = parent_is_known(m, c, &parent);
    bool parent_is_read = parent && parent->now.status != SHARD_NO_NEED;

    if (c->no_need && parent_is_read)
        m->result->reversed = parent->now.id;
    else if (c->no_need)
        add_candidate(m, c, parent);
    else if (!c->leads_on && !parent_is_read)
        m->result->stray = c->from->id;
    else if (known)
        add_candidate(m, c, parent);
    else
        m->result->orphan = c->from->id;
}

/* The candidate and those above it, the uppermost first; whatever the listing says, this ends.
 */
static void decide_lineage(struct merge *m, struct candidate *c, struct candidate **lineage)
{
    size_t n = 0;

    for (; c && !c->visited; c = c->parent) {
        c->visited = true;
        lineage[n++] = c;
    }
    while (n > 0)
        decide(m, lineage[--n]);
}

void shard_listing_merge(struct shard_tree *t, const struct ddb_stream *stream, bool whole,
                         int64_t generation, int64_t now_ms, struct listing_result *ret)
{
    struct merge m = {.tree = t, .generation = generation, .now_ms = now_ms, .result = ret};
    struct candidate **lineage;

    *ret = (struct listing_result){0};
    collect(&m, stream);
    mark_ancestors(&m);
    for (size_t i = 0; i < m.count; i++)
        if (!m.all[i].from->ending[0])
            mark_leads_on(&m.all[i]);
    lineage = xcalloc(m.count + 1, sizeof(struct candidate *));
    for (size_t i = 0; i < m.count; i++)
        decide_lineage(&m, &m.all[i], lineage);
    free(lineage);
    HASH_CLEAR(hh, m.by_id);
    free(m.all);
    if (ret->added > 0)
        shard_tree_link(t);
    t->listed = t->listed || whole;
}

#include "producer/shard_tree.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/mutation.h"

static void shard_copy(struct ledger_shard *to, const struct ledger_shard *from)
{
    struct ledger_shard copy = *from;

    copy.id = xstrdup(from->id);
    copy.parent = xstrdup(from->parent);
    copy.sequence = xstrdup(from->sequence);
    ledger_shard_release(to);
    *to = copy;
}

static struct tree_shard *shard_add(struct shard_tree *t, struct ledger_shard *s)
{
    struct tree_shard *shard = xcalloc(1, sizeof(*shard));

    shard->now = *s;
    *s = (struct ledger_shard){0};
    shard_copy(&shard->committed, &shard->now);
    HASH_ADD_KEYPTR(hh, t->shards, shard->now.id, strlen(shard->now.id), shard);
    return shard;
}

void shard_tree_remove(struct shard_tree *t, struct tree_shard *s,
                       void (*reader_free)(void *reader))
{
    HASH_DEL(t->shards, s);
    if (s->reader && reader_free)
        reader_free(s->reader);
    ledger_shard_release(&s->now);
    ledger_shard_release(&s->committed);
    free(s);
}

void shard_tree_release(struct shard_tree *t, void (*reader_free)(void *reader))
{
    struct tree_shard *s, *next;

    HASH_ITER(hh, t->shards, s, next)
    shard_tree_remove(t, s, reader_free);
}

struct tree_shard *shard_tree_find(const struct shard_tree *t, const char *id)
{
    struct tree_shard *s;

    HASH_FIND(hh, t->shards, id, strlen(id), s);
    return s;
}

void shard_tree_load(struct shard_tree *t, struct ledger_shard *s)
{
    shard_add(t, s)->recorded = true;
}

static struct ledger_shard shard_new(const struct ddb_shard *from, int64_t generation,
                                     enum shard_status status, int64_t now_ms)
{
    return (struct ledger_shard){
        .generation = generation,
        .id = xstrdup(from->id),
        .parent = xstrdup(from->parent),
        .status = status,
        .sequence = xstrdup(""),
        .updated_ms = now_ms,
        .complete_to_ms = now_ms,
    };
}

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

void shard_tree_adopt(struct shard_tree *t, const struct ddb_stream *stream, int64_t generation,
                      int64_t now_ms, const struct shard_tree *old)
{
    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct ddb_shard *from = &stream->shards[i];
        bool open = !from->ending[0];
        struct ledger_shard s =
            shard_new(from, generation, open ? SHARD_PREPARE : SHARD_NO_NEED, now_ms);

        if (open)
            keep_position(&s, old, now_ms);
        shard_add(t, &s);
    }
}

static const struct ddb_shard *listed(const struct ddb_stream *stream, const char *id)
{
    for (size_t i = 0; i < stream->shard_count; i++)
        if (strcmp(stream->shards[i].id, id) == 0)
            return &stream->shards[i];
    return NULL;
}

/* Parents may be listed after their children: added first. */
static bool merge_one(struct shard_tree *t, const struct ddb_stream *stream,
                      const struct ddb_shard *from, int64_t generation, int64_t now_ms,
                      size_t *added, unsigned depth)
{
    const struct ddb_shard *parent_listed;
    struct tree_shard *parent = NULL;
    struct ledger_shard s;

    if (shard_tree_find(t, from->id))
        return true;
    if (from->parent[0]) {
        parent_listed = listed(stream, from->parent);
        parent = shard_tree_find(t, from->parent);
        if (!parent &&
            (!parent_listed || depth > stream->shard_count ||
             !merge_one(t, stream, parent_listed, generation, now_ms, added, depth + 1)))
            return false;
        parent = shard_tree_find(t, from->parent);
    }
    s = shard_new(from, generation, parent ? SHARD_WAIT_FATHER : SHARD_NOT_PROCESS, now_ms);
    if (parent)
        s.complete_to_ms = parent->now.complete_to_ms;
    shard_add(t, &s);
    (*added)++;
    return true;
}

size_t shard_tree_merge(struct shard_tree *t, const struct ddb_stream *stream,
                        int64_t generation, int64_t now_ms, const char **ret_orphan)
{
    size_t added = 0;

    *ret_orphan = NULL;
    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct ddb_shard *from = &stream->shards[i];

        if (!merge_one(t, stream, from, generation, now_ms, &added, 0) && !*ret_orphan)
            *ret_orphan = from->id;
    }
    return added;
}

bool shard_is_finished(const struct tree_shard *s)
{
    return s->now.status == SHARD_DONE || s->now.status == SHARD_NO_NEED;
}

bool shard_is_ready(const struct shard_tree *t, const struct tree_shard *s)
{
    const struct tree_shard *parent;

    if (shard_is_finished(s))
        return false;
    parent = s->now.parent[0] ? shard_tree_find(t, s->now.parent) : NULL;
    return !parent || shard_is_finished(parent) || MUTATED(parent);
}

static bool has_child(const struct shard_tree *t, const struct tree_shard *s)
{
    const struct tree_shard *child;

    for (child = t->shards; child; child = child->hh.next)
        if (strcmp(child->now.parent, s->now.id) == 0)
            return true;
    return false;
}

bool shard_tree_wants_children(const struct shard_tree *t)
{
    const struct tree_shard *s;

    for (s = t->shards; s; s = s->hh.next)
        if (s->now.status == SHARD_DONE && !has_child(t, s))
            return true;
    return false;
}

struct tree_shard *shard_tree_forgettable(const struct shard_tree *t, int64_t now_ms)
{
    struct tree_shard *s;

    for (s = t->shards; s; s = s->hh.next)
        if (shard_is_finished(s) && !s->dirty &&
            s->now.updated_ms < now_ms - SHARD_TOMBSTONE_MS &&
            (s->now.status == SHARD_NO_NEED || has_child(t, s)))
            return s;
    return NULL;
}

int64_t shard_complete_to(const struct shard_tree *t, const struct tree_shard *s)
{
    int64_t newest = s->now.complete_to_ms;
    unsigned left = HASH_COUNT(t->shards); /* whatever a ledger says, this ends */

    for (; left > 0 && s->now.parent[0]; left--) {
        s = shard_tree_find(t, s->now.parent);
        if (!s)
            break;
        newest = MAX(newest, s->now.complete_to_ms);
    }
    return newest;
}

int64_t shard_tree_complete_to(const struct shard_tree *t)
{
    const struct tree_shard *s;
    int64_t oldest = INT64_MAX;

    for (s = t->shards; s; s = s->hh.next)
        if (!shard_is_finished(s))
            oldest = MIN(oldest, shard_complete_to(t, s));
    return oldest;
}

void shard_advance(struct tree_shard *s, struct bytes sequence, int64_t records,
                   int64_t source_ms, int64_t now_ms)
{
    free(s->now.sequence);
    s->now.sequence = bytes_dup(sequence);
    s->now.records += records;
    s->now.status = SHARD_IN_PROCESSING;
    s->now.updated_ms = now_ms;
    if (source_ms > 0) {
        s->now.source_ms = source_ms;
        s->now.complete_to_ms = MAX(s->now.complete_to_ms, source_ms);
    }
    s->dirty = true;
}

void shard_finish(struct tree_shard *s, int64_t now_ms)
{
    s->now.status = SHARD_DONE;
    s->now.updated_ms = now_ms;
    s->dirty = true;
}

void shard_idle(struct tree_shard *s, int64_t complete_to_ms, int64_t now_ms)
{
    s->now.status = SHARD_IN_PROCESSING;
    s->now.complete_to_ms = MAX(s->now.complete_to_ms, complete_to_ms);
    s->now.updated_ms = now_ms;
    s->dirty = true;
}

bool shard_tree_committed(struct shard_tree *t)
{
    struct tree_shard *s;
    bool any = false;

    for (s = t->shards; s; s = s->hh.next) {
        any = any || s->dirty;
        if (s->dirty)
            shard_copy(&s->committed, &s->now);
        s->dirty = false;
    }
    return any;
}

/* The key of the hash is now.id, whose bytes must stay where they are. */
void shard_tree_aborted(struct shard_tree *t)
{
    struct tree_shard *s;

    for (s = t->shards; s; s = s->hh.next) {
        if (!s->dirty)
            continue;
        free(s->now.sequence);
        s->now.sequence = xstrdup(s->committed.sequence);
        s->now.status = s->committed.status;
        s->now.records = s->committed.records;
        s->now.updated_ms = s->committed.updated_ms;
        s->now.source_ms = s->committed.source_ms;
        s->now.complete_to_ms = s->committed.complete_to_ms;
        s->dirty = false;
    }
}

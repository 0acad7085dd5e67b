#include "producer/shard_tree.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

/* ---- lists ---- */

static enum tree_list list_of(const struct tree_shard *s)
{
    if (!shard_is_finished(s))
        return TREE_LIST_LIVE;
    return s->first_child ? TREE_LIST_NONE : TREE_LIST_LEAF;
}

static void leave_list(struct shard_tree *t, struct tree_shard *s)
{
    if (s->list == TREE_LIST_LIVE)
        DL_DELETE(t->live, s);
    else if (s->list == TREE_LIST_LEAF)
        DL_DELETE(t->leaves, s);
    t->leaf_count -= s->list == TREE_LIST_LEAF;
    s->list = TREE_LIST_NONE;
}

/* After its status or its children changed. */
static void place(struct shard_tree *t, struct tree_shard *s)
{
    enum tree_list list = list_of(s);

    if (list == s->list)
        return;
    leave_list(t, s);
    s->list = list;
    if (list == TREE_LIST_LIVE)
        DL_APPEND(t->live, s);
    else if (list == TREE_LIST_LEAF)
        DL_APPEND(t->leaves, s);
    t->leaf_count += list == TREE_LIST_LEAF;
    s->asks = 0;
    s->ask_at_ms = 0;
}

static void set_dirty(struct shard_tree *t, struct tree_shard *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = NULL;
    if (!t->dirty)
        t->last_dirty = &t->dirty;
    *t->last_dirty = s;
    t->last_dirty = &s->next_dirty;
}

static struct tree_shard *pop_dirty(struct shard_tree *t)
{
    struct tree_shard *s = t->dirty;

    if (!s)
        return NULL;
    t->dirty = s->next_dirty;
    s->dirty = false;
    return s;
}

/* ---- the tree ---- */

static void copy_position(struct ledger_shard *to, const struct ledger_shard *from)
{
    free(to->sequence);
    to->sequence = xstrdup(from->sequence);
    to->status = from->status;
    to->records = from->records;
    to->updated_ms = from->updated_ms;
    to->source_ms = from->source_ms;
    to->complete_to_ms = from->complete_to_ms;
}

static struct tree_shard *add(struct shard_tree *t, struct ledger_shard *s, bool recorded)
{
    struct tree_shard *shard = xcalloc(1, sizeof(*shard));

    shard->now = *s;
    *s = (struct ledger_shard){0};
    copy_position(&shard->committed, &shard->now);
    shard->recorded = shard->recorded_committed = recorded;
    t->unrecorded += !recorded;
    HASH_ADD_KEYPTR(hh, t->shards, shard->now.id, strlen(shard->now.id), shard);
    place(t, shard);
    return shard;
}

struct tree_shard *shard_tree_add(struct shard_tree *t, struct ledger_shard *s)
{
    return add(t, s, false);
}

void shard_tree_load(struct shard_tree *t, struct ledger_shard *s)
{
    add(t, s, true);
}

void shard_tree_link(struct shard_tree *t)
{
    struct tree_shard *s;

    for (s = t->shards; s; s = s->hh.next) {
        if (s->parent || !s->now.parent[0])
            continue;
        s->parent = shard_tree_find(t, s->now.parent);
        if (!s->parent)
            continue;
        s->next_sibling = s->parent->first_child;
        s->parent->first_child = s;
        place(t, s->parent);
    }
}

static void unlink_shard(struct shard_tree *t, struct tree_shard *s)
{
    struct tree_shard **at;

    for (struct tree_shard *child = s->first_child; child; child = child->next_sibling)
        child->parent = NULL;
    if (!s->parent)
        return;
    for (at = &s->parent->first_child; *at != s; at = &(*at)->next_sibling)
        ;
    *at = s->next_sibling;
    place(t, s->parent);
}

static void shard_free(struct tree_shard *s, void (*reader_free)(void *reader))
{
    if (s->reader && reader_free)
        reader_free(s->reader);
    ledger_shard_release(&s->now);
    ledger_shard_release(&s->committed);
    free(s);
}

static void remove_shard(struct shard_tree *t, struct tree_shard *s,
                         void (*reader_free)(void *reader))
{
    unlink_shard(t, s);
    leave_list(t, s);
    t->unrecorded -= !s->recorded;
    t->cursor = NULL;
    HASH_DEL(t->shards, s);
    shard_free(s, reader_free);
}

void shard_tree_release(struct shard_tree *t, void (*reader_free)(void *reader))
{
    struct tree_shard *s, *next;

    HASH_ITER(hh, t->shards, s, next) {
        HASH_DEL(t->shards, s);
        shard_free(s, reader_free);
    }
    *t = (struct shard_tree){0};
}

struct tree_shard *shard_tree_find(const struct shard_tree *t, const char *id)
{
    struct tree_shard *s;

    HASH_FIND(hh, t->shards, id, strlen(id), s);
    return s;
}

unsigned shard_tree_count(const struct shard_tree *t)
{
    return HASH_COUNT(t->shards);
}

/* ---- which may be read ---- */

bool shard_is_finished(const struct tree_shard *s)
{
    return s->now.status == SHARD_DONE || s->now.status == SHARD_NO_NEED;
}

bool shard_is_ready(const struct shard_tree *t, const struct tree_shard *s)
{
    if (shard_is_finished(s))
        return false;
    if (s->parent) /* a ledger that has it, and no shard of the adoption, has its parent too */
        return (shard_is_finished(s->parent) && (s->now.adopted || s->parent->recorded)) ||
               MUTATED(parent);
    return !s->now.parent[0] || s->now.adopted || t->listed || MUTATED(late_parent);
}

int64_t shard_complete_to(const struct shard_tree *t, const struct tree_shard *s)
{
    int64_t newest = s->now.complete_to_ms;
    unsigned left = HASH_COUNT(t->shards); /* whatever a ledger says, this ends */

    for (s = s->parent; s && left > 0; s = s->parent, left--)
        newest = MAX(newest, s->now.complete_to_ms);
    return newest;
}

int64_t shard_tree_complete_to(const struct shard_tree *t)
{
    const struct tree_shard *s;
    int64_t oldest = INT64_MAX;

    for (s = t->live; s; s = s->next)
        oldest = MIN(oldest, shard_complete_to(t, s));
    return oldest;
}

/* ---- its records ---- */

struct tree_shard *shard_tree_unrecorded(struct shard_tree *t)
{
    if (t->unrecorded == 0)
        return NULL;
    if (!t->cursor)
        t->cursor = t->shards;
    while (t->cursor->recorded)
        t->cursor = t->cursor->hh.next;
    return t->cursor;
}

void shard_recorded(struct shard_tree *t, struct tree_shard *s)
{
    t->unrecorded -= !s->recorded;
    s->recorded = true;
    set_dirty(t, s);
}

/* A child that a ledger does not have yet would have no parent after a crash. */
static bool children_are_recorded(const struct tree_shard *s)
{
    for (const struct tree_shard *child = s->first_child; child; child = child->next_sibling)
        if (!child->recorded_committed)
            return false;
    return true;
}

struct tree_shard *shard_tree_forgettable(const struct shard_tree *t,
                                          const struct tree_shard *after, int64_t now_ms)
{
    struct tree_shard *s;

    for (s = after ? after->hh.next : t->shards; s; s = s->hh.next)
        if (shard_is_finished(s) && !s->dirty && !s->forgotten && s->recorded &&
            s->now.updated_ms < now_ms - SHARD_TOMBSTONE_MS &&
            (s->now.status == SHARD_NO_NEED || s->first_child) && children_are_recorded(s))
            return s;
    return NULL;
}

void shard_forgotten(struct shard_tree *t, struct tree_shard *s)
{
    s->forgotten = true;
    set_dirty(t, s);
}

void shard_advance(struct shard_tree *t, struct tree_shard *s, struct bytes sequence,
                   int64_t records, int64_t source_ms, int64_t now_ms)
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
    shard_recorded(t, s);
}

void shard_finish(struct shard_tree *t, struct tree_shard *s, int64_t now_ms)
{
    s->now.status = SHARD_DONE;
    s->now.updated_ms = now_ms;
    shard_recorded(t, s);
    place(t, s);
}

void shard_idle(struct shard_tree *t, struct tree_shard *s, int64_t complete_to_ms,
                int64_t now_ms)
{
    s->now.status = SHARD_IN_PROCESSING;
    s->now.complete_to_ms = MAX(s->now.complete_to_ms, complete_to_ms);
    s->now.updated_ms = now_ms;
    shard_recorded(t, s);
}

/* ---- commit and abort ---- */

bool shard_tree_committed(struct shard_tree *t, int64_t mono_ms,
                          void (*reader_free)(void *reader))
{
    struct tree_shard *s;
    bool any = false;

    while ((s = pop_dirty(t))) {
        any = true;
        if (s->forgotten) {
            remove_shard(t, s, reader_free);
            continue;
        }
        copy_position(&s->committed, &s->now);
        s->recorded_committed = s->recorded;
        s->progress_ms = mono_ms;
    }
    return any;
}

void shard_tree_aborted(struct shard_tree *t)
{
    struct tree_shard *s;

    while ((s = pop_dirty(t))) {
        copy_position(&s->now, &s->committed);
        s->forgotten = false;
        if (!MUTATED(recorded)) {
            t->unrecorded += s->recorded && !s->recorded_committed;
            t->cursor = NULL;
            s->recorded = s->recorded_committed;
        }
        place(t, s);
    }
}

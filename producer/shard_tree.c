#include "producer/shard_tree.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

/* ---- lists ---- */

static enum tree_list list_of(const struct tree_shard *shard)
{
    if (!shard_is_finished(shard))
        return TREE_LIST_LIVE;
    return shard->first_child ? TREE_LIST_NONE : TREE_LIST_LEAF;
}

static void leave_list(struct shard_tree *tree, struct tree_shard *shard)
{
    if (shard->list == TREE_LIST_LIVE)
        DL_DELETE(tree->live, shard);
    else if (shard->list == TREE_LIST_LEAF)
        DL_DELETE(tree->leaves, shard);
    tree->leaf_count -= shard->list == TREE_LIST_LEAF;
    shard->list = TREE_LIST_NONE;
}

/* After its status or its children changed. */
static void place(struct shard_tree *tree, struct tree_shard *shard)
{
    enum tree_list list = list_of(shard);

    if (list == shard->list)
        return;
    leave_list(tree, shard);
    shard->list = list;
    if (list == TREE_LIST_LIVE)
        DL_APPEND(tree->live, shard);
    else if (list == TREE_LIST_LEAF)
        DL_APPEND(tree->leaves, shard);
    tree->leaf_count += list == TREE_LIST_LEAF;
    shard->asks = 0;
    shard->ask_at_ms = 0;
}

static void set_dirty(struct shard_tree *tree, struct tree_shard *shard)
{
    if (shard->dirty)
        return;
    shard->dirty = true;
    shard->next_dirty = NULL;
    if (!tree->dirty)
        tree->last_dirty = &tree->dirty;
    *tree->last_dirty = shard;
    tree->last_dirty = &shard->next_dirty;
}

static struct tree_shard *pop_dirty(struct shard_tree *tree)
{
    struct tree_shard *shard = tree->dirty;

    if (!shard)
        return NULL;
    tree->dirty = shard->next_dirty;
    shard->dirty = false;
    return shard;
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

static struct tree_shard *add(struct shard_tree *tree, struct ledger_shard *shard_record,
                              bool recorded)
{
    struct tree_shard *shard = xcalloc(1, sizeof(*shard));

    shard->now = *shard_record;
    *shard_record = (struct ledger_shard){0};
    copy_position(&shard->committed, &shard->now);
    shard->recorded = shard->recorded_committed = recorded;
    tree->unrecorded += !recorded;
    HASH_ADD_KEYPTR(hh, tree->shards, shard->now.id, strlen(shard->now.id), shard);
    place(tree, shard);
    return shard;
}

struct tree_shard *shard_tree_add(struct shard_tree *tree, struct ledger_shard *shard_record)
{
    return add(tree, shard_record, false);
}

void shard_tree_load(struct shard_tree *tree, struct ledger_shard *shard_record)
{
    add(tree, shard_record, true);
}

void shard_tree_link(struct shard_tree *tree)
{
    struct tree_shard *shard;

    for (shard = tree->shards; shard; shard = shard->hh.next) {
        if (shard->parent || !shard->now.parent[0])
            continue;
        shard->parent = shard_tree_find(tree, shard->now.parent);
        if (!shard->parent)
            continue;
        shard->next_sibling = shard->parent->first_child;
        shard->parent->first_child = shard;
        place(tree, shard->parent);
    }
}

static void unlink_shard(struct shard_tree *tree, struct tree_shard *shard)
{
    struct tree_shard **at;

    for (struct tree_shard *child = shard->first_child; child; child = child->next_sibling)
        child->parent = NULL;
    if (!shard->parent)
        return;
    for (at = &shard->parent->first_child; *at != shard; at = &(*at)->next_sibling)
        ;
    *at = shard->next_sibling;
    place(tree, shard->parent);
}

static void shard_free(struct tree_shard *shard, void (*reader_free)(void *reader))
{
    if (shard->reader && reader_free)
        reader_free(shard->reader);
    ledger_shard_release(&shard->now);
    ledger_shard_release(&shard->committed);
    free(shard);
}

static void remove_shard(struct shard_tree *tree, struct tree_shard *shard,
                         void (*reader_free)(void *reader))
{
    unlink_shard(tree, shard);
    leave_list(tree, shard);
    tree->unrecorded -= !shard->recorded;
    tree->cursor = NULL;
    HASH_DEL(tree->shards, shard);
    shard_free(shard, reader_free);
}

void shard_tree_release(struct shard_tree *tree, void (*reader_free)(void *reader))
{
    struct tree_shard *shard, *next;

    HASH_ITER(hh, tree->shards, shard, next) {
        HASH_DEL(tree->shards, shard);
        shard_free(shard, reader_free);
    }
    *tree = (struct shard_tree){0};
}

struct tree_shard *shard_tree_find(const struct shard_tree *tree, const char *id)
{
    struct tree_shard *shard;

    HASH_FIND(hh, tree->shards, id, strlen(id), shard);
    return shard;
}

unsigned shard_tree_count(const struct shard_tree *tree)
{
    return HASH_COUNT(tree->shards);
}

/* ---- which may be read ---- */

bool shard_is_finished(const struct tree_shard *shard)
{
    return shard->now.status == SHARD_DONE || shard->now.status == SHARD_NO_NEED;
}

bool shard_is_ready(const struct shard_tree *tree, const struct tree_shard *shard)
{
    if (shard_is_finished(shard))
        return false;
    if (shard->parent) /* a ledger that has it, and no shard of the adoption, has its parent too
                        */
        return (shard_is_finished(shard->parent) &&
                (shard->now.adopted || shard->parent->recorded)) ||
               MUTATED(parent);
    return !shard->now.parent[0] || shard->now.adopted || tree->listed || MUTATED(late_parent);
}

int64_t shard_complete_to(const struct shard_tree *tree, const struct tree_shard *shard)
{
    int64_t newest = shard->now.complete_to_ms;
    unsigned left = HASH_COUNT(tree->shards); /* whatever a ledger says, this ends */

    for (shard = shard->parent; shard && left > 0; shard = shard->parent, left--)
        newest = MAX(newest, shard->now.complete_to_ms);
    return newest;
}

/* Into ret, which is sorted and has room for one more. */
static void insert_nearest(struct shard_nearest *ret, size_t count,
                           const struct shard_nearest *one)
{
    size_t at = count;

    while (at > 0 && ret[at - 1].complete_to_ms > one->complete_to_ms) {
        ret[at] = ret[at - 1];
        at--;
    }
    ret[at] = *one;
}

size_t shard_tree_nearest(const struct shard_tree *tree, struct shard_nearest *ret,
                          size_t at_most)
{
    size_t count = 0;

    for (const struct tree_shard *shard = tree->live; shard; shard = shard->next) {
        const struct shard_nearest one = {shard, shard_complete_to(tree, shard)};

        if (count == at_most && one.complete_to_ms >= ret[count - 1].complete_to_ms)
            continue;
        count -= count == at_most;
        insert_nearest(ret, count++, &one);
    }
    return count;
}

void shard_tree_loaded(struct shard_tree *tree)
{
    struct shard_nearest nearest;

    shard_tree_link(tree);
    if (shard_tree_nearest(tree, &nearest, 1) > 0)
        tree->listed_ms = nearest.complete_to_ms;
}

/* ---- its records ---- */

struct tree_shard *shard_tree_unrecorded(struct shard_tree *tree)
{
    if (tree->unrecorded == 0)
        return NULL;
    if (!tree->cursor)
        tree->cursor = tree->shards;
    while (tree->cursor->recorded)
        tree->cursor = tree->cursor->hh.next;
    return tree->cursor;
}

void shard_recorded(struct shard_tree *tree, struct tree_shard *shard)
{
    tree->unrecorded -= !shard->recorded;
    shard->recorded = true;
    set_dirty(tree, shard);
}

/* A child that a ledger does not have yet would have no parent after a crash. */
static bool children_are_recorded(const struct tree_shard *shard)
{
    for (const struct tree_shard *child = shard->first_child; child;
         child = child->next_sibling)
        if (!child->recorded_committed)
            return false;
    return true;
}

struct tree_shard *shard_tree_forgettable(const struct shard_tree *tree,
                                          const struct tree_shard *after, int64_t now_ms)
{
    struct tree_shard *shard;

    for (shard = after ? after->hh.next : tree->shards; shard; shard = shard->hh.next)
        if (shard_is_finished(shard) && !shard->dirty && !shard->forgotten && shard->recorded &&
            shard->now.updated_ms < now_ms - SHARD_TOMBSTONE_MS &&
            (shard->now.status == SHARD_NO_NEED || shard->first_child) &&
            children_are_recorded(shard))
            return shard;
    return NULL;
}

void shard_forgotten(struct shard_tree *tree, struct tree_shard *shard)
{
    shard->forgotten = true;
    set_dirty(tree, shard);
}

/* The first that is known of the shard itself takes the place of its parent's time. */
static void note_complete_to(struct ledger_shard *now, int64_t complete_to_ms)
{
    bool is_first = now->status != SHARD_IN_PROCESSING && !now->adopted;

    now->complete_to_ms = is_first ? complete_to_ms : MAX(now->complete_to_ms, complete_to_ms);
}

void shard_advance(struct shard_tree *tree, struct tree_shard *shard, struct bytes sequence,
                   int64_t records, int64_t source_ms, int64_t now_ms)
{
    free(shard->now.sequence);
    shard->now.sequence = bytes_dup(sequence);
    shard->now.records += records;
    if (source_ms > 0) {
        shard->now.source_ms = source_ms;
        note_complete_to(&shard->now, source_ms);
    }
    shard->now.status = SHARD_IN_PROCESSING;
    shard->now.updated_ms = now_ms;
    shard_recorded(tree, shard);
}

void shard_finish(struct shard_tree *tree, struct tree_shard *shard, int64_t now_ms)
{
    shard->now.status = SHARD_DONE;
    shard->now.updated_ms = now_ms;
    shard_recorded(tree, shard);
    place(tree, shard);
}

void shard_idle(struct shard_tree *tree, struct tree_shard *shard, int64_t complete_to_ms,
                int64_t now_ms)
{
    note_complete_to(&shard->now, complete_to_ms);
    shard->now.status = SHARD_IN_PROCESSING;
    shard->now.updated_ms = now_ms;
    shard_recorded(tree, shard);
}

/* ---- commit and abort ---- */

bool shard_tree_committed(struct shard_tree *tree, int64_t mono_ms,
                          void (*reader_free)(void *reader))
{
    struct tree_shard *shard;
    bool any = false;

    while ((shard = pop_dirty(tree))) {
        any = true;
        if (shard->forgotten) {
            remove_shard(tree, shard, reader_free);
            continue;
        }
        copy_position(&shard->committed, &shard->now);
        shard->recorded_committed = shard->recorded;
        shard->progress_ms = mono_ms;
    }
    return any;
}

void shard_tree_aborted(struct shard_tree *tree)
{
    struct tree_shard *shard;

    while ((shard = pop_dirty(tree))) {
        copy_position(&shard->now, &shard->committed);
        shard->forgotten = false;
        if (!MUTATED(recorded)) {
            tree->unrecorded += shard->recorded && !shard->recorded_committed;
            tree->cursor = NULL;
            shard->recorded = shard->recorded_committed;
        }
        place(tree, shard);
    }
}

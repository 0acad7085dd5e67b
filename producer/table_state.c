#include "producer/table_state.h"

#include <stdlib.h>

#include "common/base/check.h"

static void release_segments(struct table_state *s)
{
    for (int64_t i = 0; i < s->segment_count; i++) {
        ledger_segment_release(&s->segments[i].now);
        ledger_segment_release(&s->segments[i].committed);
    }
    free(TAKE(s->segments));
    s->segment_count = 0;
    s->segments_done = 0;
}

static void make_segments(struct table_state *s)
{
    release_segments(s);
    s->segments = xcalloc((size_t)MAX(s->now.segments, 1), sizeof(*s->segments));
    s->segment_count = s->now.segments;
    for (int64_t i = 0; i < s->segment_count; i++) {
        s->segments[i].now =
            (struct ledger_segment){.generation = s->now.generation, .segment = i};
        s->segments[i].committed = s->segments[i].now;
    }
}

static void copy_table(struct ledger_table *to, const struct ledger_table *from)
{
    ledger_table_release(to);
    ledger_table_copy(to, from);
}

static void copy_segment(struct ledger_segment *to, const struct ledger_segment *from)
{
    free(to->last_key);
    *to = *from;
    to->last_key = from->last_key ? xstrdup(from->last_key) : NULL;
}

void table_state_init(struct table_state *s, struct ledger_table *t)
{
    *s = (struct table_state){.committed = *t};
    *t = (struct ledger_table){0};
    ledger_table_copy(&s->now, &s->committed);
}

void table_state_release(struct table_state *s, void (*reader_free)(void *reader))
{
    release_segments(s);
    shard_tree_release(&s->tree, reader_free);
    ledger_table_release(&s->now);
    ledger_table_release(&s->committed);
}

/* ---- a generation begins or goes on ---- */

void table_state_adopt(struct table_state *s, struct ledger_table *t, struct shard_tree *tree,
                       void (*reader_free)(void *reader))
{
    struct tree_shard *shard;

    ledger_table_release(&s->now);
    s->now = *t;
    *t = (struct ledger_table){0};
    shard_tree_release(&s->tree, reader_free);
    s->tree = *tree;
    *tree = (struct shard_tree){0};
    for (shard = s->tree.shards; shard; shard = shard->hh.next)
        shard_recorded(&s->tree, shard);
    make_segments(s);
    s->segments_forgotten = s->segments_forgotten_committed = false;
    s->generation_loaded = s->now.generation;
    table_state_recorded(s);
}

static enum ledger_phase running_phase(const struct ledger_table *t)
{
    return t->rows && t->finished_ms == 0 ? PHASE_SNAPSHOT : PHASE_TAIL;
}

/* The stop is over for good: an abort must not go back to it. */
static void end_the_stop(struct table_state *s)
{
    struct ledger_table *t = &s->committed;

    s->record_due = s->record_due_committed = t->phase != running_phase(t);
    t->phase = running_phase(t);
    free(t->reason);
    t->reason = xstrdup("");
}

void table_state_resume(struct table_state *s, void (*reader_free)(void *reader))
{
    end_the_stop(s);
    copy_table(&s->now, &s->committed);
    s->dirty = false;
    make_segments(s);
    shard_tree_release(&s->tree, reader_free);
    s->generation_loaded = s->now.generation;
    s->segments_forgotten = s->segments_forgotten_committed = true; /* until one is loaded */
}

void table_state_load_segment(struct table_state *s, struct ledger_segment *seg)
{
    struct segment_state *to;

    if (seg->generation != s->now.generation || seg->segment < 0 ||
        seg->segment >= s->segment_count) {
        ledger_segment_release(seg);
        return;
    }
    to = &s->segments[seg->segment];
    ledger_segment_release(&to->now);
    to->now = *seg;
    *seg = (struct ledger_segment){0};
    copy_segment(&to->committed, &to->now);
    s->segments_forgotten = s->segments_forgotten_committed = false;
}

void table_state_load_shard(struct table_state *s, struct ledger_shard *shard)
{
    if (shard->generation == s->now.generation && !shard_tree_find(&s->tree, shard->id))
        shard_tree_load(&s->tree, shard);
    ledger_shard_release(shard);
}

static void count_done(struct table_state *s)
{
    s->segments_done = 0;
    for (int64_t i = 0; i < s->segment_count; i++)
        s->segments_done += s->segments[i].now.done;
}

void table_state_loaded(struct table_state *s)
{
    count_done(s);
    shard_tree_link(&s->tree);
}

/* ---- appended ---- */

void table_state_recorded(struct table_state *s)
{
    s->dirty = true;
    s->record_due = false;
}

void table_state_segment_recorded(struct table_state *s, int64_t segment)
{
    s->segments[segment].dirty = true;
    count_done(s);
}

bool table_state_all_scanned(const struct table_state *s)
{
    return s->segments_done == s->segment_count;
}

bool table_state_segments_forgettable(const struct table_state *s, int64_t now_ms)
{
    return !s->segments_forgotten && s->segment_count > 0 && s->committed.finished_ms > 0 &&
           s->committed.finished_ms < now_ms - SHARD_TOMBSTONE_MS;
}

/* ---- committed, aborted ---- */

bool table_state_committed(struct table_state *s, int64_t mono_ms,
                           void (*reader_free)(void *reader))
{
    bool any = s->dirty;

    if (s->dirty)
        copy_table(&s->committed, &s->now);
    s->dirty = false;
    s->record_due_committed = s->record_due;
    s->segments_forgotten_committed = s->segments_forgotten;
    for (int64_t i = 0; i < s->segment_count; i++) {
        struct segment_state *seg = &s->segments[i];

        any = any || seg->dirty;
        if (!seg->dirty)
            continue;
        copy_segment(&seg->committed, &seg->now);
        seg->dirty = false;
        seg->progress_ms = mono_ms;
    }
    return shard_tree_committed(&s->tree, mono_ms, reader_free) || any;
}

static void segments_back(struct table_state *s)
{
    for (int64_t i = 0; i < s->segment_count; i++) {
        struct segment_state *seg = &s->segments[i];

        if (seg->dirty)
            copy_segment(&seg->now, &seg->committed);
        seg->dirty = false;
    }
    count_done(s);
}

bool table_state_aborted(struct table_state *s, void (*reader_free)(void *reader))
{
    if (s->dirty)
        copy_table(&s->now, &s->committed);
    s->dirty = false;
    s->record_due = s->record_due_committed;
    s->segments_forgotten = s->segments_forgotten_committed;
    if (s->generation_loaded == 0)
        return false;
    if (s->generation_loaded == s->now.generation) {
        segments_back(s);
        shard_tree_aborted(&s->tree);
        return false;
    }
    release_segments(s);
    shard_tree_release(&s->tree, reader_free);
    s->generation_loaded = 0;
    return true;
}

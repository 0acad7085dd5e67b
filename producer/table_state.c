#include "producer/table_state.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

static void release_segments(struct table_state *state)
{
    for (int64_t i = 0; i < state->segment_count; i++) {
        ledger_segment_release(&state->segments[i].now);
        ledger_segment_release(&state->segments[i].committed);
    }
    free(TAKE(state->segments));
    state->segment_count = 0;
    state->segments_done = 0;
}

static void make_segments(struct table_state *state)
{
    release_segments(state);
    state->segments = xcalloc((size_t)MAX(state->now.segments, 1), sizeof(*state->segments));
    state->segment_count = state->now.segments;
    for (int64_t i = 0; i < state->segment_count; i++) {
        state->segments[i].now =
            (struct ledger_segment){.generation = state->now.generation, .segment = i};
        state->segments[i].committed = state->segments[i].now;
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

void table_state_init(struct table_state *state, struct ledger_table *t)
{
    *state = (struct table_state){.committed = *t};
    *t = (struct ledger_table){0};
    ledger_table_copy(&state->now, &state->committed);
}

void table_state_release(struct table_state *state, void (*reader_free)(void *reader))
{
    release_segments(state);
    shard_tree_release(&state->tree, reader_free);
    ledger_table_release(&state->now);
    ledger_table_release(&state->committed);
}

/* ---- a generation begins or goes on ---- */

void table_state_adopt(struct table_state *state, struct ledger_table *t,
                       struct shard_tree *tree, void (*reader_free)(void *reader))
{
    struct tree_shard *shard;

    ledger_table_release(&state->now);
    state->now = *t;
    *t = (struct ledger_table){0};
    shard_tree_release(&state->tree, reader_free);
    state->tree = *tree;
    *tree = (struct shard_tree){0};
    for (shard = state->tree.shards; shard; shard = shard->hh.next)
        shard_recorded(&state->tree, shard);
    make_segments(state);
    state->segments_forgotten = state->segments_forgotten_committed = false;
    state->generation_loaded = state->now.generation;
    table_state_recorded(state);
}

static enum ledger_phase running_phase(const struct ledger_table *t)
{
    return t->rows && t->finished_ms == 0 ? PHASE_SNAPSHOT : PHASE_TAIL;
}

void table_state_end_halt(struct ledger_table *t)
{
    t->phase = running_phase(t);
    t->renew = t->forget = t->retry = false;
    free(t->reason);
    t->reason = xstrdup("");
}

void table_state_end_snapshot(struct ledger_table *t, int64_t finished_ms)
{
    if (t->phase == PHASE_SNAPSHOT || MUTATED(pause_at_end))
        t->phase = PHASE_TAIL;
    t->finished_ms = finished_ms;
}

/* The halt is over for good: an abort must not go back to it. */
static void end_the_halt(struct table_state *state)
{
    struct ledger_table *t = &state->committed;

    state->record_due = state->record_due_committed = t->phase != running_phase(t);
    table_state_end_halt(t);
}

void table_state_resume(struct table_state *state, void (*reader_free)(void *reader))
{
    end_the_halt(state);
    copy_table(&state->now, &state->committed);
    state->dirty = false;
    make_segments(state);
    shard_tree_release(&state->tree, reader_free);
    state->generation_loaded = state->now.generation;
    state->segments_forgotten = state->segments_forgotten_committed =
        true; /* until one is loaded */
}

void table_state_load_segment(struct table_state *state, struct ledger_segment *seg)
{
    struct segment_state *to;

    if (seg->generation != state->now.generation || seg->segment < 0 ||
        seg->segment >= state->segment_count) {
        ledger_segment_release(seg);
        return;
    }
    to = &state->segments[seg->segment];
    ledger_segment_release(&to->now);
    to->now = *seg;
    *seg = (struct ledger_segment){0};
    copy_segment(&to->committed, &to->now);
    state->segments_forgotten = state->segments_forgotten_committed = false;
}

void table_state_load_shard(struct table_state *state, struct ledger_shard *shard)
{
    if (shard->generation == state->now.generation && !shard_tree_find(&state->tree, shard->id))
        shard_tree_load(&state->tree, shard);
    ledger_shard_release(shard);
}

static void count_done(struct table_state *state)
{
    state->segments_done = 0;
    for (int64_t i = 0; i < state->segment_count; i++)
        state->segments_done += state->segments[i].now.done;
}

void table_state_loaded(struct table_state *state)
{
    count_done(state);
    shard_tree_loaded(&state->tree);
}

/* ---- appended ---- */

void table_state_recorded(struct table_state *state)
{
    state->dirty = true;
    state->record_due = false;
}

void table_state_segment_recorded(struct table_state *state, int64_t segment)
{
    state->segments[segment].dirty = true;
    count_done(state);
}

bool table_state_all_scanned(const struct table_state *state)
{
    return state->segments_done == state->segment_count;
}

bool table_state_segments_forgettable(const struct table_state *state, int64_t now_ms)
{
    return !state->segments_forgotten && state->segment_count > 0 &&
           state->committed.finished_ms > 0 &&
           state->committed.finished_ms < now_ms - SHARD_TOMBSTONE_MS;
}

/* ---- committed, aborted ---- */

bool table_state_committed(struct table_state *state, int64_t mono_ms,
                           void (*reader_free)(void *reader))
{
    bool any = state->dirty;

    if (state->dirty)
        copy_table(&state->committed, &state->now);
    state->dirty = false;
    state->record_due_committed = state->record_due;
    state->segments_forgotten_committed = state->segments_forgotten;
    for (int64_t i = 0; i < state->segment_count; i++) {
        struct segment_state *seg = &state->segments[i];

        any = any || seg->dirty;
        if (!seg->dirty)
            continue;
        copy_segment(&seg->committed, &seg->now);
        seg->dirty = false;
        seg->progress_ms = mono_ms;
    }
    return shard_tree_committed(&state->tree, mono_ms, reader_free) || any;
}

static void segments_back(struct table_state *state)
{
    for (int64_t i = 0; i < state->segment_count; i++) {
        struct segment_state *seg = &state->segments[i];

        if (seg->dirty)
            copy_segment(&seg->now, &seg->committed);
        seg->dirty = false;
    }
    count_done(state);
}

bool table_state_aborted(struct table_state *state, void (*reader_free)(void *reader))
{
    if (state->dirty)
        copy_table(&state->now, &state->committed);
    state->dirty = false;
    state->record_due = state->record_due_committed;
    state->segments_forgotten = state->segments_forgotten_committed;
    if (state->generation_loaded == 0)
        return false;
    if (state->generation_loaded == state->now.generation) {
        segments_back(state);
        shard_tree_aborted(&state->tree);
        return false;
    }
    release_segments(state);
    shard_tree_release(&state->tree, reader_free);
    state->generation_loaded = 0;
    return true;
}

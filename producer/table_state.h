/* producer/table_state.h - what a table has appended, and what of it was committed: its own
 * record, its segments, its shards.
 *
 * One call makes all that was appended committed, one call goes back to what was committed, so
 * that nothing which an abort took back can be forgotten: a first record of a shard, the begin
 * offsets, the end of a halt. What has to be appended is seen from here
 * (`record_due`, shard_tree_unrecorded), never from what was once appended.
 *
 * Pure; the owner locks. */
#pragma once

#include "common/messages/ledger.h"
#include "producer/shard_tree.h"

struct segment_state {
    struct ledger_segment now;
    struct ledger_segment committed;
    bool dirty;
    int64_t progress_ms; /* monotonic: when a page of it was last committed */
};

struct table_state {
    struct ledger_table now; /* generation 0: none yet */
    struct ledger_table committed;
    bool dirty;
    bool record_due; /* the ledger's record does not say what `now` says */
    bool record_due_committed;
    int64_t generation_loaded; /* of segments and tree; 0: none */
    struct segment_state *segments;
    int64_t segment_count;
    int64_t segments_done;
    bool segments_forgotten; /* their tombstones were appended, or there are no records */
    bool segments_forgotten_committed;
    struct shard_tree tree;
};

/* t: what the ledger has, or a blank record. Takes what it points to. */
void table_state_init(struct table_state *state, struct ledger_table *t);
void table_state_release(struct table_state *state, void (*reader_free)(void *reader));

/* A generation that was appended: its record (recorded in the same append) and its shards.
 * Takes what both point to; the segments are new. */
void table_state_adopt(struct table_state *state, struct ledger_table *t,
                       struct shard_tree *tree, void (*reader_free)(void *reader));
/* Goes on with the generation of the ledger: a halt that its record tells of has ended, which
 * is due to be recorded. The loaded segments and shards follow; then table_state_loaded. */
void table_state_resume(struct table_state *state, void (*reader_free)(void *reader));
/* Takes what it points to; one of another generation is dropped. */
void table_state_load_segment(struct table_state *state, struct ledger_segment *seg);
void table_state_load_shard(struct table_state *state, struct ledger_shard *shard);
void table_state_loaded(struct table_state *state);

/* The record of a table that is halted becomes that of one that is read. */
void table_state_end_halt(struct ledger_table *t);

/* Its snapshot ends. A request may have halted it since that was decided: its phase stays, and
 * it goes on behind its snapshot. */
void table_state_end_snapshot(struct ledger_table *t, int64_t finished_ms);

/* `now` was changed and appended. */
void table_state_recorded(struct table_state *state);
/* seg->now was changed and appended. */
void table_state_segment_recorded(struct table_state *state, int64_t segment);
bool table_state_all_scanned(const struct table_state *state);
/* The snapshot ended 48 h ago, and its segments have records: their tombstones are due. */
bool table_state_segments_forgettable(const struct table_state *state, int64_t now_ms);

/* Was there anything? mono_ms: becomes the progress of what was. */
bool table_state_committed(struct table_state *state, int64_t mono_ms,
                           void (*reader_free)(void *reader));
/* True: the generation itself was taken back; segments and shards are none until one is adopted
 * or resumed. */
bool table_state_aborted(struct table_state *state, void (*reader_free)(void *reader));

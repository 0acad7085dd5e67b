/* producer/shard_tree.h - the shards of one table's stream, and which may be read now.
 *
 * A child is read after its parents. Parents that are gone from the stream were adopted by
 * being absent when the generation began. What has been appended (now) and what has been
 * committed are kept apart, so that an abort goes back. Pure: no clock, no I/O; the owner
 * locks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/ddb_streams.h"
#include "common/ledger.h"

#define SHARD_GAP_MS                                                                           \
    (23 * 3600 * 1000LL) /* older than that: what the stream still has can't be told */
#define SHARD_TOMBSTONE_MS (48 * 3600 * 1000LL) /* a done shard is forgotten after that */

struct tree_shard {
    struct ledger_shard now;       /* what has been appended */
    struct ledger_shard committed; /* what an abort goes back to */
    bool dirty;                    /* they differ */
    bool recorded;                 /* its first ledger record has been appended */
    void *reader;                  /* the shard_reader's, NULL before it started */
    UT_hash_handle hh;
};

struct shard_tree {
    struct tree_shard *shards; /* by id */
};

void shard_tree_release(struct shard_tree *t, void (*reader_free)(void *reader));

struct tree_shard *shard_tree_find(const struct shard_tree *t, const char *id);
/* From the ledger. Takes what s points to. */
void shard_tree_load(struct shard_tree *t, struct ledger_shard *s);

/* The set a generation begins with: closed shards need no reading, since its scan shows all
 * they hold; open ones are read from their trim horizon, or go on where old (may be NULL) says
 * when that is younger than a gap. */
void shard_tree_adopt(struct shard_tree *t, const struct ddb_stream *stream, int64_t generation,
                      int64_t now_ms, const struct shard_tree *old);

/* Adds the shards that are new. *ret_orphan: the first whose parent is neither known nor
 * listed, or NULL; orphans are not added (the listing may lag: ask again a few times, then it
 * is a gap). Returns how many were added. */
size_t shard_tree_merge(struct shard_tree *t, const struct ddb_stream *stream,
                        int64_t generation, int64_t now_ms, const char **ret_orphan);

bool shard_is_finished(const struct tree_shard *s);
/* Unfinished, and its parent is finished or was never part of this generation. */
bool shard_is_ready(const struct shard_tree *t, const struct tree_shard *s);
/* A shard was read to its end and no child of it is known: the stream must be described again.
 */
bool shard_tree_wants_children(const struct shard_tree *t);
/* Done for 48 h with its children known: returns one such, or NULL. */
struct tree_shard *shard_tree_forgettable(const struct shard_tree *t, int64_t now_ms);
void shard_tree_remove(struct shard_tree *t, struct tree_shard *s,
                       void (*reader_free)(void *reader));
/* Up to when the log has all of it: a child holds nothing older than what its parents were read
 * to, however long ago it was listed. */
int64_t shard_complete_to(const struct shard_tree *t, const struct tree_shard *s);
/* The oldest complete_to of what is not finished; INT64_MAX: nothing is. */
int64_t shard_tree_complete_to(const struct shard_tree *t);

/* After records up to sequence were appended. */
void shard_advance(struct tree_shard *s, struct bytes sequence, int64_t records,
                   int64_t source_ms, int64_t now_ms);
void shard_finish(struct tree_shard *s, int64_t now_ms);
void shard_idle(struct tree_shard *s, int64_t complete_to_ms, int64_t now_ms);

bool shard_tree_committed(struct shard_tree *t); /* was there anything to commit? */
void shard_tree_aborted(struct shard_tree *t);

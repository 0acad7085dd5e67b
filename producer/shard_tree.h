/* producer/shard_tree.h - the shards of one table's stream, and which may be read now.
 *
 * A child is read after its parent. A shard of the adoption may be read whatever stands above
 * it: what the stream held before the generation is in the scan. Any other shard whose parent
 * is not known waits until a whole listing of this life has shown that the parent is not there.
 *
 * What has been appended (now, recorded, forgotten) and what has been committed are kept apart:
 * one call commits all of it, one call takes all of it back. So a ledger that has a shard has
 * its parent too: they are appended parents first, and go back together.
 *
 * Pure: no clock, no I/O; the owner locks. Times are the service's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/messages/ledger.h"

#define SHARD_GAP_MS                                                                           \
    (23 * 3600 * 1000LL) /* older than that: what the stream still has can't be told */
#define SHARD_TOMBSTONE_MS (48 * 3600 * 1000LL) /* a done shard is forgotten after that */

enum tree_list {
    TREE_LIST_NONE,
    TREE_LIST_LIVE, /* not finished */
    TREE_LIST_LEAF, /* finished, and no child of it is known */
};

struct tree_shard {
    struct ledger_shard now;       /* what has been appended */
    struct ledger_shard committed; /* what an abort goes back to; without id and parent */
    bool recorded;                 /* appended: its first record */
    bool recorded_committed;
    bool forgotten; /* appended: its tombstone; a commit removes the shard */
    bool dirty;     /* in the tree's list of what a commit or an abort has to look at */
    struct tree_shard *next_dirty;

    struct tree_shard *parent; /* NULL: none, or not known */
    struct tree_shard *first_child;
    struct tree_shard *next_sibling;

    enum tree_list list; /* the one it is in, by prev and next */
    struct tree_shard *prev, *next;

    /* of whoever asks for a leaf's children */
    int asks;
    int64_t ask_at_ms;

    int64_t progress_ms; /* monotonic: when something of it was last committed, or its reader
                            saw that there is nothing to read */
    void *reader;        /* the shard_reader's, NULL before it started */
    UT_hash_handle hh;
};

struct shard_tree {
    struct tree_shard *shards; /* by id; in the order of adding: parents first but for loaded */
    struct tree_shard *live;   /* TREE_LIST_LIVE */
    struct tree_shard *leaves; /* TREE_LIST_LEAF, the first to become one first */
    struct tree_shard *dirty, **last_dirty;
    size_t unrecorded;
    struct tree_shard *cursor; /* all before it are recorded; NULL: look from the first on */
    size_t leaf_count;
    bool listed;       /* a whole listing of this life was merged */
    int64_t listed_ms; /* no shard without a parent that is not in the tree holds anything
                          older: when a whole listing last lacked it; after loading, up to when
                          all was read; 0: unknown */
};

void shard_tree_release(struct shard_tree *tree, void (*reader_free)(void *reader));
struct tree_shard *shard_tree_find(const struct shard_tree *tree, const char *id);
unsigned shard_tree_count(const struct shard_tree *tree);

/* From the ledger: takes what shard_record points to. shard_tree_loaded follows the last one.
 */
void shard_tree_load(struct shard_tree *tree, struct ledger_shard *shard_record);
void shard_tree_loaded(struct shard_tree *tree);
/* Not yet recorded: takes what shard_record points to. shard_tree_link follows the last one. */
struct tree_shard *shard_tree_add(struct shard_tree *tree, struct ledger_shard *shard_record);
/* Finds the parents of what was added since. */
void shard_tree_link(struct shard_tree *tree);

bool shard_is_finished(const struct tree_shard *shard);
/* Unfinished, and nothing that has to be read before it is left to read. */
bool shard_is_ready(const struct shard_tree *tree, const struct tree_shard *shard);

/* The next one whose first record has to be appended, behind its parent's; NULL: none. */
struct tree_shard *shard_tree_unrecorded(struct shard_tree *tree);
/* Its record was appended. */
void shard_recorded(struct shard_tree *tree, struct tree_shard *shard);
/* The next one, behind `after` (NULL: from the first), that has been done for 48 h with its
 * children known and recorded, so that its tombstone may be appended; NULL: none. */
struct tree_shard *shard_tree_forgettable(const struct shard_tree *tree,
                                          const struct tree_shard *after, int64_t now_ms);
void shard_forgotten(struct shard_tree *tree, struct tree_shard *shard);

/* After records up to sequence were appended, with the shard's record (so it is recorded). */
void shard_advance(struct shard_tree *tree, struct tree_shard *shard, struct bytes sequence,
                   int64_t records, int64_t source_ms, int64_t now_ms);
void shard_finish(struct shard_tree *tree, struct tree_shard *shard, int64_t now_ms);
void shard_idle(struct shard_tree *tree, struct tree_shard *shard, int64_t complete_to_ms,
                int64_t now_ms);

/* Up to when the log has all of it: a child holds nothing older than what its parents were read
 * to, however long ago it was listed. */
int64_t shard_complete_to(const struct shard_tree *tree, const struct tree_shard *shard);
struct shard_nearest {
    const struct tree_shard *shard;
    int64_t complete_to_ms;
};
/* Those of what is not finished that are complete to the oldest times, the oldest first; how
 * many there are, at most at_most. */
size_t shard_tree_nearest(const struct shard_tree *tree, struct shard_nearest *ret,
                          size_t at_most);

/* All that was appended; was there anything? mono_ms: becomes the progress of what was. */
bool shard_tree_committed(struct shard_tree *tree, int64_t mono_ms,
                          void (*reader_free)(void *reader));
void shard_tree_aborted(struct shard_tree *tree);

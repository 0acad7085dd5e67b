/* producer/shard_listing.h - what a description of a stream says about the shards of a
 * generation.
 *
 * A listing lags: it shows a child before its parent, or a closed shard without its child, for
 * a while; and a page is older than the next one. So what a shard is follows from its place,
 * not from when it was listed:
 * - the adoption takes what it sees: closed shards, and those whose child is listed, need no
 *   reading, since the scan shows all they hold; open ones are read;
 * - what is listed later and stands above a shard of the adoption was closed before the
 *   generation began: no need to process either;
 * - what stands below a shard that is read is read behind it;
 * - anything else that is open is read; what is closed waits until its own children are listed,
 *   since only they tell on which side of the adoption it stands.
 *
 * A shard without a parent may hold changes since the last whole listing that lacked it.
 *
 * Pure; the owner locks the tree. */
#pragma once

#include "common/dynamodb/ddb_stream.h"
#include "producer/shard_tree.h"

struct listing_result {
    size_t added;
    /* The first of each, or NULL; in the listing or the tree. What is left waits: a whole
     * listing has to be asked for again. */
    const char *orphan;   /* its parent is neither known nor listed */
    const char *stray;    /* closed, and no child of it is listed */
    const char *reversed; /* it is being read, and now its parent shows up unread: a gap */
};

/* The set a generation begins with. Open shards are read from their trim horizon, or go on
 * where old (NULL: nothing) says when that is younger than a gap. now_ms: the service's. */
void shard_listing_adopt(struct shard_tree *tree, const struct ddb_stream *stream,
                         int64_t generation, int64_t now_ms, const struct shard_tree *old);

/* Adds the shards that are new, parents first. whole: all pages; else it is a part, which says
 * nothing about what it lacks. */
void shard_listing_merge(struct shard_tree *tree, const struct ddb_stream *stream, bool whole,
                         int64_t generation, int64_t now_ms, struct listing_result *ret);

/* common/dynamodb/ddb_stream.h - the calls about streams: describe, iterators.
 *
 * Each function is one request (describe: all pages). Errors as in ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"

struct ddb_shard {
    char *id;
    char *parent;   /* "" for none */
    char *starting; /* sequence numbers, "" for none */
    char *ending;   /* "" : open */
};

struct ddb_stream {
    char *arn;
    char *status; /* ENABLING, ENABLED, DISABLING, DISABLED */
    char *view;
    struct ddb_shard *shards;
    size_t shard_count, shard_room;
};

void ddb_stream_free(struct ddb_stream *stream);
DEFINE_FREEP(struct ddb_stream, ddb_stream_freep, ddb_stream_free)
/* One page, added to stream (zeroed before the first): one request, which waits for nothing: a
 * throttled one is the caller's to repeat. *last: NULL for the first page; afterwards where to
 * go on, NULL at the end, when ddb_stream_merge is due. The caller frees it. */
int ddb_stream_describe_page(struct ddb_stream *stream, char **last, struct ddb_client *client,
                             const char *arn, struct error *err);
/* The children of one closed shard, by ShardFilter CHILD_SHARDS: one request. *ret_filtered:
 * all children that are listed are in *ret (none: it has none, or they are listed late). False:
 * the endpoint does not know the filter and answered with (a page of) the whole list; one that
 * refuses it gives DDB_OTHER. */
int ddb_stream_children(struct ddb_stream **ret, bool *ret_filtered, struct ddb_client *client,
                        const char *arn, const char *parent, struct error *err);
/* Do all its shards name this parent? */
bool ddb_stream_is_of_parent(const struct ddb_stream *stream, const char *parent);
/* All pages, as one list sorted by id (a shard named on two pages stands once). A throttled
 * page is asked for a few times before the whole call fails. */
int ddb_stream_describe(struct ddb_stream **ret, struct ddb_client *client, const char *arn,
                        struct error *err);
/* Adds a page of DescribeStream to stream; *ret_last: the shard to go on after, or NULL; the
 * caller frees. ERR_RETRY for an answer that is none; stream may have got a part of it. */
int ddb_stream_read_page(struct ddb_stream *stream, char **ret_last, struct bytes answer,
                         struct error *err);
/* Sorts the shards by id and makes one of those named twice. */
void ddb_stream_merge(struct ddb_stream *stream);

/* after: a sequence number for AFTER_SEQUENCE_NUMBER, NULL for TRIM_HORIZON. The caller frees
 * *ret. */
int ddb_stream_iterator(char **ret, struct ddb_client *client, const char *arn,
                        const char *shard, const char *after, struct error *err);

/* Reads GetShardIterator's answer. */
int ddb_stream_iterator_read(char **ret, struct bytes answer, struct error *err);

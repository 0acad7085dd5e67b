/* common/ddb_streams.h - the calls about streams: describe, iterators, records.
 *
 * Each function is one request (describe: all pages). Errors as in ddb_client.h. */
#pragma once

#include "common/ddb_client.h"
#include "common/ddb_value.h"

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
    size_t shard_count;
};

void ddb_stream_free(struct ddb_stream *s);
DEFINE_FREEP(struct ddb_stream, ddb_stream_freep, ddb_stream_free)
/* All pages, as one list (a shard named on two pages stands once). */
int ddb_describe_stream(struct ddb_stream **ret, struct ddb_client *c, const char *arn,
                        struct error *err);

/* after: a sequence number for AFTER_SEQUENCE_NUMBER, NULL for TRIM_HORIZON. The caller frees
 * *ret. */
int ddb_shard_iterator(char **ret, struct ddb_client *c, const char *arn, const char *shard,
                       const char *after, struct error *err);

/* limit 0: the service's own (1000). */
int ddb_get_records(struct http_answer *ret, struct ddb_client *c, const char *iterator,
                    int64_t limit, struct error *err);

struct ddb_record {
    struct bytes sequence; /* digits */
    char event;            /* 'I' INSERT, 'M' MODIFY, 'R' REMOVE */
    int64_t created_ms;   /* ApproximateCreationDateTime (seconds, maybe with a fraction, or ISO
                             text) in ms; -1: not given */
    bool ttl;             /* userIdentity is DynamoDB's TTL */
    struct ddb_item keys; /* of the Keys object */
    struct bytes new_image; /* empty: not there */
    struct bytes old_image;
};
/* As ddb_scan_items. *ret_next: the raw NextShardIterator (no escapes in it), empty when the
 * shard is closed and drained. The number of records is the number of calls. */
int ddb_records_each(struct bytes answer, const struct key_schema *schema,
                     int (*each)(void *arg, const struct ddb_record *rec, struct error *err),
                     void *arg, struct bytes *ret_next, struct error *err);

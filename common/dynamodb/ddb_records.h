/* common/dynamodb/ddb_records.h - GetRecords: the changes of one shard. Errors as in
 * ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"
#include "common/item/ddb_item.h"

/* One request, which nothing repeats. limit 0: the service's own (1000). */
int ddb_records_get(struct http_answer *ret, struct ddb_client *c, const char *iterator,
                    int64_t limit, struct error *err);

struct ddb_record {
    struct bytes sequence; /* digits */
    char event;            /* 'I' INSERT, 'M' MODIFY, 'R' REMOVE */
    /* ApproximateCreationDateTime (seconds, maybe with a fraction, or ISO text) in ms; -1: none
     * that can be. DynamoDB rounds it down to the second, DynamoDB Local to the minute. */
    int64_t created_ms;
    bool ttl;               /* userIdentity is DynamoDB's TTL */
    struct ddb_item keys;   /* of the Keys object */
    struct bytes new_image; /* empty: not there */
    struct bytes old_image;
};
/* As ddb_scan_items; keys are an object, sequence is digits and event is known. *ret_next: the
 * raw NextShardIterator (no escapes in it), empty when the shard is closed and drained. The
 * number of records is the number of calls. */
int ddb_records_each(struct bytes answer, const struct key_schema *schema,
                     int (*each)(void *arg, const struct ddb_record *rec, struct error *err),
                     void *arg, struct bytes *ret_next, struct error *err);

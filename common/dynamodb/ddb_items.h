/* common/dynamodb/ddb_items.h - BatchGetItem: up to 100 items of one table by their keys,
 * consistently.
 *
 * One request, nothing is retried inside. Errors as in ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"
#include "common/item/ddb_item.h"

#define DDB_ITEMS_AT_MOST 100 /* the service takes no more keys in a request */

/* keys: 1..100 whole primary keys as objects, {"pk":{"S":"u1"},"sk":{"N":"1"}}, none twice (the
 * service refuses that). Always ConsistentRead, ReturnConsumedCapacity NONE. */
int ddb_items_get(struct http_answer *ret, struct ddb_client *client, const char *table,
                  const struct bytes *keys, size_t count, struct error *err);

struct ddb_items_calls { /* either may return -1, which ends the reading */
    int (*found)(void *arg, const struct ddb_item *item, struct error *err);
    int (*unprocessed)(void *arg, const struct ddb_item *key, struct error *err);
    void *arg;
};

/* Calls found() for every item and unprocessed() for every key that was not looked for, with
 * slices of the answer, as they stand in it. One pass. A key that was asked for and is neither
 * does not exist. ERR_RETRY for an answer that is not such JSON (a cut one), before or after
 * some calls. */
int ddb_items_read(struct bytes answer, const struct key_schema *schema,
                   const struct ddb_items_calls *calls, struct error *err);

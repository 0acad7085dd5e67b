#include "common/dynamodb/ddb_items.h"

#include "common/base/check.h"
#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

int ddb_items_get(struct http_answer *ret, struct ddb_client *client, const char *table,
                  const struct bytes *keys, size_t count, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};

    CHECK(count > 0 && count <= DDB_ITEMS_AT_MOST);
    buf_lit(&body, "{\"RequestItems\":{");
    json_stringify(&body, bytes_of(table));
    buf_lit(&body, ":{\"ConsistentRead\":true,\"Keys\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(&body, ',');
        buf_bytes(&body, keys[i]);
    }
    buf_lit(&body, "]}},\"ReturnConsumedCapacity\":\"NONE\"}");
    return ddb_client_call(client, DDB_TABLES, "BatchGetItem", buf_slice(&body), ret, err);
}

struct reading {
    const struct key_schema *schema;
    const struct ddb_items_calls *calls;
    bool found;       /* a list of items was there */
    bool unprocessed; /* a key was */
};

/* {"orders":[{..},..]} */
static int read_responses(struct reading *reading, struct json_reader *r, struct error *err)
{
    struct bytes table;

    json_object_begin(r);
    while (json_object_next(r, &table)) {
        if (reading->found)
            return ddb_read_lacks("single list of items", err);
        if (ddb_read_each_item(r, reading->schema, reading->calls->found, reading->calls->arg,
                               err) < 0)
            return -1;
        reading->found = true;
    }
    return 0;
}

/* {"Keys":[{..},..],"ConsistentRead":true} */
static int read_unprocessed_table(struct reading *reading, struct json_reader *r,
                                  struct error *err)
{
    const struct ddb_items_calls *calls = reading->calls;
    struct bytes member;
    int count = 0;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("Keys")))
            count = ddb_read_each_item(r, reading->schema, calls->unprocessed, calls->arg, err);
        else
            json_skip(r, NULL);
        if (count < 0)
            return -1;
    }
    if (count == 0 && !json_failed(r))
        return ddb_read_lacks("unprocessed keys", err);
    reading->unprocessed = true;
    return 0;
}

static int read_unprocessed(struct reading *reading, struct json_reader *r, struct error *err)
{
    struct bytes table;

    if (json_peek(r) == JSON_NULL) {
        json_null(r);
        return 0;
    }
    json_object_begin(r);
    while (json_object_next(r, &table))
        if (read_unprocessed_table(reading, r, err) < 0)
            return -1;
    return 0;
}

static int read_members(struct reading *reading, struct json_reader *r, struct error *err)
{
    struct bytes member;
    int result = 0;

    json_object_begin(r);
    while (result == 0 && json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("Responses")))
            result = read_responses(reading, r, err);
        else if (json_raw_is(member, BYTES_LIT("UnprocessedKeys")))
            result = read_unprocessed(reading, r, err);
        else
            json_skip(r, NULL);
    }
    return result;
}

int ddb_items_read(struct bytes answer, const struct key_schema *schema,
                   const struct ddb_items_calls *calls, struct error *err)
{
    struct reading reading = {.schema = schema, .calls = calls};
    struct json_reader r;

    json_reader_init(&r, answer);
    if (read_members(&reading, &r, err) < 0)
        return -1;
    if (!json_end(&r))
        return ddb_read_failed(&r, err);
    if (!reading.found && !reading.unprocessed) /* else every key would count as absent */
        return ddb_read_lacks("items", err);
    return 0;
}

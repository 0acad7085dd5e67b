/* common/dynamodb/ddb_table.c - requests are written, and answers read, member by member. */
#include "common/dynamodb/ddb_table.h"

#include <stdlib.h>

#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

static void table_release(struct ddb_table *table)
{
    free(table->name);
    free(table->arn);
    free(table->id);
    free(table->status);
    free(table->stream_arn);
    free(table->stream_view);
    key_schema_release(&table->key_schema);
    ddb_indexes_release(&table->indexes);
}

void ddb_table_free(struct ddb_table *table)
{
    if (table)
        table_release(table);
    free(table);
}

/* ---- DescribeTable ---- */

/* What stands apart in the answer and makes one thing here. */
struct description {
    struct ddb_table table;
    int64_t capacity_milli;
    bool on_demand;
    struct bytes created;     /* as it is written: only compared */
    struct bytes keys;        /* KeySchema */
    struct bytes global;      /* GlobalSecondaryIndexes */
    struct bytes local;       /* LocalSecondaryIndexes */
    struct bytes definitions; /* AttributeDefinitions */
};

struct index {
    struct bytes name, keys;
};

/* What can't be read is left out, and so is an index with several attributes of a kind
 * (multi-attribute keys): a table goes on without it. */
static void read_indexes(struct ddb_indexes *indexes, struct bytes text,
                         const struct description *d)
{
    static const struct json_field list[] = {
        JSON_FIELD("IndexName", struct index, name, &json_fields_raw),
        JSON_FIELD("KeySchema", struct index, keys, &json_fields_value),
    };
    static const struct json_fields fields = JSON_FIELDS("an index", struct index, list);
    struct key_schema schema;
    struct json_reader r;
    struct error ignored;

    json_reader_init(&r, text);
    if (json_peek(&r) == JSON_ARRAY)
        json_array_begin(&r);
    while (json_array_next(&r)) {
        struct index index = {0};

        if (json_fields_read(&index, NULL, &fields, &r, &ignored) == 0 &&
            key_schema_read_described(&schema, index.keys, d->definitions, &ignored) == 0)
            ddb_indexes_add(indexes, index.name, &schema);
    }
}

static int read_specification(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        JSON_OPTIONAL("StreamEnabled", struct ddb_table, stream_enabled, &json_fields_bool),
        JSON_OPTIONAL("StreamViewType", struct ddb_table, stream_view,
                      &json_fields_text_or_null),
    };
    static const struct json_fields fields =
        JSON_FIELDS("StreamSpecification", struct ddb_table, list);

    return ddb_read_nested(at, &fields, r, err);
}

static const struct json_kind specification_kind = {.read = read_specification};

static int read_throughput(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("ReadCapacityUnits"), &ddb_read_units, .optional = true}};
    static const struct json_fields fields =
        JSON_FIELDS("ProvisionedThroughput", int64_t, list);

    return ddb_read_nested(at, &fields, r, err);
}

static const struct json_kind throughput_kind = {.read = read_throughput};

static int read_mode(struct json_reader *r, void *at, struct error *err)
{
    struct bytes mode;

    (void)err;
    if (json_peek(r) != JSON_STRING)
        return json_skip(r, NULL) ? 0 : -1;
    *(bool *)at = json_string(r, &mode) && json_raw_is(mode, BYTES_LIT("PAY_PER_REQUEST"));
    return 0;
}

static const struct json_kind mode_kind = {.read = read_mode};

static int read_billing(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("BillingMode"), &mode_kind, .optional = true}};
    static const struct json_fields fields = JSON_FIELDS("BillingModeSummary", bool, list);

    return ddb_read_nested(at, &fields, r, err);
}

static const struct json_kind billing_kind = {.read = read_billing};

static int read_item_count(struct json_reader *r, void *at, struct error *err)
{
    (void)err;
    return (json_peek(r) == JSON_NUMBER ? json_int64(r, at) : json_skip(r, NULL)) ? 0 : -1;
}

static const struct json_kind item_count_kind = {.read = read_item_count};

#define MEMBER(name, member, kind) JSON_OPTIONAL(name, struct description, member, kind)
static const struct json_field table_list[] = {
    JSON_FIELD("TableName", struct description, table.name, &json_fields_text),
    JSON_FIELD("TableStatus", struct description, table.status, &json_fields_text),
    MEMBER("TableArn", table.arn, &json_fields_text_or_null),
    MEMBER("TableId", table.id, &json_fields_text_or_null),
    MEMBER("LatestStreamArn", table.stream_arn, &json_fields_text_or_null),
    MEMBER("ItemCount", table.item_count, &item_count_kind),
    MEMBER("CreationDateTime", created, &json_fields_value),
    MEMBER("KeySchema", keys, &json_fields_value),
    MEMBER("GlobalSecondaryIndexes", global, &json_fields_value),
    MEMBER("LocalSecondaryIndexes", local, &json_fields_value),
    MEMBER("AttributeDefinitions", definitions, &json_fields_value),
    MEMBER("StreamSpecification", table, &specification_kind),
    MEMBER("ProvisionedThroughput", capacity_milli, &throughput_kind),
    MEMBER("BillingModeSummary", on_demand, &billing_kind),
};
static const struct json_fields table_fields =
    JSON_FIELDS("Table", struct description, table_list);

static int read_table(struct json_reader *r, void *at, struct error *err)
{
    return json_fields_read(at, NULL, &table_fields, r, err);
}

static const struct json_kind table_kind = {.read = read_table};

/* A table that is being deleted may have lost its keys. */
static int complete(struct description *d, struct error *err)
{
    struct ddb_table *table = &d->table;

    if (!table->id && table->arn && d->created.len)
        table->id = xasprintf("%s " BYTES_FMT, table->arn, BYTES_ARG(d->created));
    table->read_capacity = d->on_demand ? 0 : d->capacity_milli / 1000;
    ddb_read_default(&table->arn);
    ddb_read_default(&table->id);
    ddb_read_default(&table->stream_arn);
    ddb_read_default(&table->stream_view);
    if (!d->keys.len && strcmp(table->status, "DELETING") == 0)
        return 0;
    read_indexes(&table->indexes, d->global, d);
    read_indexes(&table->indexes, d->local, d);
    return key_schema_read_described(&table->key_schema, d->keys, d->definitions, err) < 0
               ? ddb_read_is_wrong(err)
               : 0;
}

int ddb_table_read(struct ddb_table **ret, struct bytes answer, struct error *err)
{
    static const struct json_field list[] = {{BYTES_LIT("Table"), &table_kind}};
    static const struct json_fields fields =
        JSON_FIELDS("DescribeTable", struct description, list);
    struct description d = {0};

    if (ddb_read_answer(&d, &fields, answer, err) < 0 || complete(&d, err) < 0) {
        table_release(&d.table);
        return -1;
    }
    *ret = memcpy(xmalloc(sizeof(d.table)), &d.table, sizeof(d.table));
    return 0;
}

static void append_table(struct buf *out, const char *table)
{
    buf_lit(out, "{\"TableName\":");
    json_stringify(out, bytes_of(table));
}

int ddb_table_describe(struct ddb_table **ret, struct ddb_client *client, const char *name,
                       struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    append_table(&body, name);
    buf_char(&body, '}');
    if (ddb_client_call(client, DDB_TABLES, "DescribeTable", buf_slice(&body), &answer, err) <
        0)
        return error_prefix(err, "table %s", name);
    if (ddb_table_read(ret, buf_slice(&answer.body), err) == 0)
        return 0;
    ddb_client_broken(client, "DescribeTable", err);
    return error_prefix(err, "table %s", name);
}

/* ---- UpdateTable ---- */

int ddb_table_enable_stream(struct ddb_client *client, const char *table, const char *view,
                            struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    append_table(&body, table);
    buf_printf(&body,
               ",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":\"%s\"}}",
               view);
    if (ddb_client_call(client, DDB_TABLES, "UpdateTable", buf_slice(&body), &answer, err) < 0)
        return error_prefix(err, "table %s", table);
    return 0;
}

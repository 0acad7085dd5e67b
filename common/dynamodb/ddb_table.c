/* common/dynamodb/ddb_table.c - requests are written, and answers read, member by member. */
#include "common/dynamodb/ddb_table.h"

#include <stdlib.h>

#include "common/dynamodb/ddb_read.h"
#include "common/json/json_text.h"

#define REQUEST_AT_MOST ((size_t)1 << 20)

void ddb_table_free(struct ddb_table *t)
{
    if (!t)
        return;
    free(t->name);
    free(t->arn);
    free(t->id);
    free(t->status);
    free(t->stream_arn);
    free(t->stream_view);
    key_schema_release(&t->key_schema);
    ddb_indexes_release(&t->indexes);
    free(t);
}

/* ---- DescribeTable ---- */

/* What stands apart in the answer and makes one thing here. */
struct description {
    struct ddb_table *table;
    bool on_demand;
    struct bytes created;     /* as it is written: only compared */
    struct bytes keys;        /* KeySchema */
    struct bytes global;      /* GlobalSecondaryIndexes */
    struct bytes local;       /* LocalSecondaryIndexes */
    struct bytes definitions; /* AttributeDefinitions */
};

struct named {
    struct bytes name, what; /* raw strings: AttributeName, and KeyType or AttributeType */
};

/* The next element of KeySchema or AttributeDefinitions; false at the end or when failed. */
static bool next_named(struct json_reader *r, const char *what, struct named *ret)
{
    struct bytes member;

    *ret = (struct named){0};
    if (!json_array_next(r))
        return false;
    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("AttributeName")))
            json_string(r, &ret->name);
        else if (json_raw_is(member, bytes_of(what)))
            json_string(r, &ret->what);
        else
            json_skip(r, NULL);
    }
    return !json_failed(r);
}

/* S, N or B; 0: not defined. */
static char type_of(struct bytes definitions, const struct key_attribute *a)
{
    struct json_reader r;
    struct named n;

    json_reader_init(&r, definitions);
    json_array_begin(&r);
    while (next_named(&r, "AttributeType", &n))
        if (n.name.p && json_raw_is(n.name, key_attribute_name(a)))
            return n.what.len == 1 && memchr("SNB", n.what.p[0], 3) ? n.what.p[0] : '\0';
    return '\0';
}

static void name_attribute(struct key_attribute *a, struct bytes raw)
{
    struct buf name;

    buf_init(&name, raw.len + 1);
    json_unescape(&name, raw, NULL);
    a->name_len = name.len;
    buf_cstr(&name);
    free(a->name);
    a->name = name.p;
}

static int read_key_schema(struct key_schema *s, struct bytes keys, const struct description *d,
                           struct error *err)
{
    struct json_reader r;
    struct named n;

    json_reader_init(&r, keys);
    json_array_begin(&r);
    while (next_named(&r, "KeyType", &n)) {
        bool hash = json_raw_is(n.what, BYTES_LIT("HASH"));
        struct key_attribute *a = hash ? &s->hash : &s->range;

        if (!n.name.p || (!hash && !json_raw_is(n.what, BYTES_LIT("RANGE"))))
            return ddb_read_lacks("key attribute that is HASH or RANGE", err);
        name_attribute(a, n.name);
        a->type = type_of(d->definitions, a);
        if (!a->type)
            return ddb_read_lacks("type of a key attribute", err);
    }
    if (json_failed(&r))
        return ddb_read_failed(&r, err);
    return s->hash.name ? 0 : ddb_read_lacks("hash key", err);
}

/* What can't be read is left out: a table goes on without its indexes. One with several
 * attributes of a kind (multi-attribute keys) is left out too. */
static void read_index(struct json_reader *r, const struct description *d)
{
    struct key_schema schema = {0};
    struct bytes member, name = {0}, keys = {0};
    struct error ignored;
    struct json_reader count;
    struct named n;
    int attributes = 0;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("IndexName")))
            json_string(r, &name);
        else if (json_raw_is(member, BYTES_LIT("KeySchema")))
            json_skip(r, &keys);
        else
            json_skip(r, NULL);
    }
    if (json_failed(r) || !name.p || !keys.len)
        return;
    json_reader_init(&count, keys);
    json_array_begin(&count);
    while (next_named(&count, "KeyType", &n))
        attributes++;
    if (read_key_schema(&schema, keys, d, &ignored) == 0 &&
        attributes == 1 + (schema.range.name != NULL))
        ddb_indexes_add(&d->table->indexes, name, &schema);
    key_schema_release(&schema);
}

static void read_indexes(struct bytes list, const struct description *d)
{
    struct json_reader r;

    json_reader_init(&r, list);
    if (json_peek(&r) != JSON_ARRAY)
        return;
    json_array_begin(&r);
    while (json_array_next(&r))
        read_index(&r, d);
}

static void read_stream_specification(struct ddb_table *t, struct json_reader *r)
{
    struct bytes member;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("StreamEnabled")))
            json_bool(r, &t->stream_enabled);
        else if (json_raw_is(member, BYTES_LIT("StreamViewType")))
            ddb_read_string(r, &t->stream_view);
        else
            json_skip(r, NULL);
    }
}

static void read_capacity(struct ddb_table *t, struct json_reader *r)
{
    struct bytes member, units;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("ReadCapacityUnits")) &&
            json_peek(r) == JSON_NUMBER && json_number(r, &units))
            t->read_capacity = ddb_read_units_milli(units) / 1000;
        else
            json_skip(r, NULL);
    }
}

static void read_billing(struct description *d, struct json_reader *r)
{
    struct bytes member, mode;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("BillingMode")) && json_peek(r) == JSON_STRING)
            d->on_demand =
                json_string(r, &mode) && json_raw_is(mode, BYTES_LIT("PAY_PER_REQUEST"));
        else
            json_skip(r, NULL);
    }
}

/* What a member that is an object tells; false: it is another one. */
static bool read_table_object(struct description *d, struct json_reader *r, struct bytes member)
{
    if (json_peek(r) != JSON_OBJECT)
        return false;
    if (json_raw_is(member, BYTES_LIT("StreamSpecification")))
        read_stream_specification(d->table, r);
    else if (json_raw_is(member, BYTES_LIT("ProvisionedThroughput")))
        read_capacity(d->table, r);
    else if (json_raw_is(member, BYTES_LIT("BillingModeSummary")))
        read_billing(d, r);
    else
        return false;
    return true;
}

static void read_table_member(struct description *d, struct json_reader *r, struct bytes member)
{
    struct ddb_table *t = d->table;

    if (json_raw_is(member, BYTES_LIT("TableName")))
        ddb_read_string(r, &t->name);
    else if (json_raw_is(member, BYTES_LIT("TableId")))
        ddb_read_string(r, &t->id);
    else if (json_raw_is(member, BYTES_LIT("TableStatus")))
        ddb_read_string(r, &t->status);
    else if (json_raw_is(member, BYTES_LIT("LatestStreamArn")))
        ddb_read_string(r, &t->stream_arn);
    else if (json_raw_is(member, BYTES_LIT("TableArn")))
        ddb_read_string(r, &t->arn);
    else if (json_raw_is(member, BYTES_LIT("ItemCount")) && json_peek(r) == JSON_NUMBER)
        json_int64(r, &t->item_count);
    else if (json_raw_is(member, BYTES_LIT("CreationDateTime")))
        json_skip(r, &d->created);
    else if (json_raw_is(member, BYTES_LIT("KeySchema")))
        json_skip(r, &d->keys);
    else if (json_raw_is(member, BYTES_LIT("GlobalSecondaryIndexes")))
        json_skip(r, &d->global);
    else if (json_raw_is(member, BYTES_LIT("LocalSecondaryIndexes")))
        json_skip(r, &d->local);
    else if (json_raw_is(member, BYTES_LIT("AttributeDefinitions")))
        json_skip(r, &d->definitions);
    else if (!read_table_object(d, r, member))
        json_skip(r, NULL);
}

static void empty_for_null(char **text)
{
    if (!*text)
        *text = xstrdup("");
}

/* A table that is being deleted may have lost its keys. */
static int complete(struct description *d, struct error *err)
{
    struct ddb_table *t = d->table;

    if (!t->name || !t->status)
        return ddb_read_lacks("TableName and TableStatus", err);
    if (!t->id && t->arn && d->created.len)
        t->id = xasprintf("%s " BYTES_FMT, t->arn, BYTES_ARG(d->created));
    if (d->on_demand)
        t->read_capacity = 0;
    empty_for_null(&t->arn);
    empty_for_null(&t->id);
    empty_for_null(&t->stream_arn);
    empty_for_null(&t->stream_view);
    if (!d->keys.len && strcmp(t->status, "DELETING") == 0)
        return 0;
    read_indexes(d->global, d);
    read_indexes(d->local, d);
    return read_key_schema(&t->key_schema, d->keys, d, err);
}

static void read_description(struct description *d, struct json_reader *r)
{
    struct bytes member;

    json_object_begin(r);
    while (json_object_next(r, &member))
        read_table_member(d, r, member);
}

int ddb_table_read(struct ddb_table **ret, struct bytes answer, struct error *err)
{
    AUTO(ddb_table_freep) struct ddb_table *t = xcalloc(1, sizeof(*t));
    struct description d = {.table = t};
    struct json_reader r;
    struct bytes member;

    json_reader_init(&r, answer);
    json_object_begin(&r);
    while (json_object_next(&r, &member)) {
        if (json_raw_is(member, BYTES_LIT("Table")))
            read_description(&d, &r);
        else
            json_skip(&r, NULL);
    }
    if (!json_end(&r))
        return ddb_read_failed(&r, err);
    if (complete(&d, err) < 0)
        return -1;
    *ret = TAKE(t);
    return 0;
}

static void append_table(struct buf *out, const char *table)
{
    buf_lit(out, "{\"TableName\":");
    json_stringify(out, bytes_of(table));
}

int ddb_table_describe(struct ddb_table **ret, struct ddb_client *c, const char *name,
                       struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    append_table(&body, name);
    buf_char(&body, '}');
    if (ddb_client_call(c, DDB_TABLES, "DescribeTable", buf_slice(&body), &answer, err) < 0)
        return error_prefix(err, "table %s", name);
    if (ddb_table_read(ret, buf_slice(&answer.body), err) == 0)
        return 0;
    ddb_client_broken(c, "DescribeTable", err);
    return error_prefix(err, "table %s", name);
}

/* ---- UpdateTable ---- */

int ddb_table_enable_stream(struct ddb_client *c, const char *table, const char *view,
                            struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = REQUEST_AT_MOST};
    AUTO(http_answer_release) struct http_answer answer = {0};

    append_table(&body, table);
    buf_printf(&body,
               ",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":\"%s\"}}",
               view);
    if (ddb_client_call(c, DDB_TABLES, "UpdateTable", buf_slice(&body), &answer, err) < 0)
        return error_prefix(err, "table %s", table);
    return 0;
}

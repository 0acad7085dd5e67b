#include "common/messages/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/messages/ledger_field.h"

#define TABLE_FIELD(kind, member)                                                              \
    {                                                                                          \
#member, kind, offsetof(struct ledger_table, member)                                   \
    }
static const struct ledger_field table_fields[] = {
    TABLE_FIELD(FIELD_STRING, table),        TABLE_FIELD(FIELD_STRING, topic),
    TABLE_FIELD(FIELD_PHASE, phase),         TABLE_FIELD(FIELD_STRING, reason),
    TABLE_FIELD(FIELD_INT64, generation),    TABLE_FIELD(FIELD_STRING, table_id),
    TABLE_FIELD(FIELD_STRING, stream_arn),   TABLE_FIELD(FIELD_SCHEMA, key_schema),
    TABLE_FIELD(FIELD_INT64, item_count),    TABLE_FIELD(FIELD_INT64, segments),
    TABLE_FIELD(FIELD_INT32, partitions),    TABLE_FIELD(FIELD_STRING, log_id),
    TABLE_FIELD(FIELD_BOOL, rows),           TABLE_FIELD(FIELD_OFFSETS, begin_offsets),
    TABLE_FIELD(FIELD_INT64, started_ms),    TABLE_FIELD(FIELD_INT64, finished_ms),
    TABLE_FIELD(FIELD_INT64, signal_offset), TABLE_FIELD(FIELD_INDEXES, indexes),
};

#define SEGMENT_FIELD(kind, member)                                                            \
    {                                                                                          \
#member, kind, offsetof(struct ledger_segment, member)                                 \
    }
static const struct ledger_field segment_fields[] = {
    SEGMENT_FIELD(FIELD_INT64, generation),  SEGMENT_FIELD(FIELD_INT64, segment),
    SEGMENT_FIELD(FIELD_NULLABLE, last_key), SEGMENT_FIELD(FIELD_INT64, rows),
    SEGMENT_FIELD(FIELD_INT64, bytes),       SEGMENT_FIELD(FIELD_BOOL, done),
};

#define SHARD_FIELD(kind, member)                                                              \
    {                                                                                          \
#member, kind, offsetof(struct ledger_shard, member)                                   \
    }
static const struct ledger_field shard_fields[] = {
    SHARD_FIELD(FIELD_INT64, generation),     SHARD_FIELD(FIELD_STRING, id),
    SHARD_FIELD(FIELD_STRING, parent),        SHARD_FIELD(FIELD_STATUS, status),
    SHARD_FIELD(FIELD_STRING, sequence),      SHARD_FIELD(FIELD_INT64, records),
    SHARD_FIELD(FIELD_INT64, updated_ms),     SHARD_FIELD(FIELD_INT64, source_ms),
    SHARD_FIELD(FIELD_INT64, complete_to_ms), SHARD_FIELD(FIELD_MARK, adopted),
};

static const struct ledger_field place_fields[] = {
    {"partition", FIELD_INT32, offsetof(struct ledger_place, partition)},
    {"forget", FIELD_MARK, offsetof(struct ledger_place, forget)},
};

static const struct ledger_field source_fields[] = {
    {"account", FIELD_STRING, offsetof(struct ledger_source, account)},
    {"region", FIELD_STRING, offsetof(struct ledger_source, region)},
    {"endpoint", FIELD_STRING, offsetof(struct ledger_source, endpoint)},
    {"prefix", FIELD_STRING, offsetof(struct ledger_source, prefix)},
};

static const struct ledger_field carrier_fields[] = {
    {"white", FIELD_STRING, offsetof(struct ledger_carrier, white)},
    {"black", FIELD_STRING, offsetof(struct ledger_carrier, black)},
};

/* ---- release and copy ---- */

void ledger_source_release(struct ledger_source *s)
{
    free(s->account);
    free(s->region);
    free(s->endpoint);
    free(s->prefix);
    *s = (struct ledger_source){0};
}

void ledger_carrier_release(struct ledger_carrier *c)
{
    free(c->white);
    free(c->black);
    *c = (struct ledger_carrier){0};
}

void ledger_table_release(struct ledger_table *t)
{
    free(t->table);
    free(t->topic);
    free(t->reason);
    free(t->table_id);
    free(t->stream_arn);
    key_schema_release(&t->key_schema);
    free(t->log_id);
    free(t->begin_offsets);
    ddb_indexes_release(&t->indexes);
    *t = (struct ledger_table){0};
}

static char *dup_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

void ledger_table_copy(struct ledger_table *ret, const struct ledger_table *t)
{
    size_t offsets = sizeof(*t->begin_offsets) * (size_t)t->partitions;

    *ret = *t;
    ret->table = dup_or_null(t->table);
    ret->topic = dup_or_null(t->topic);
    ret->reason = dup_or_null(t->reason);
    ret->table_id = dup_or_null(t->table_id);
    ret->stream_arn = dup_or_null(t->stream_arn);
    ret->key_schema = (struct key_schema){0};
    key_schema_copy(&ret->key_schema, &t->key_schema);
    ret->log_id = dup_or_null(t->log_id);
    ddb_indexes_copy(&ret->indexes, &t->indexes);
    if (t->begin_offsets)
        ret->begin_offsets = memcpy(xmalloc(offsets), t->begin_offsets, offsets);
}

void ledger_segment_release(struct ledger_segment *s)
{
    free(s->last_key);
    *s = (struct ledger_segment){0};
}

void ledger_shard_copy(struct ledger_shard *ret, const struct ledger_shard *s)
{
    *ret = *s;
    ret->id = xstrdup(s->id);
    ret->parent = xstrdup(s->parent);
    ret->sequence = xstrdup(s->sequence);
}

void ledger_shard_release(struct ledger_shard *s)
{
    free(s->id);
    free(s->parent);
    free(s->sequence);
    *s = (struct ledger_shard){0};
}

/* ---- encode ---- */

void ledger_table_encode(struct buf *out, const struct ledger_table *t)
{
    ledger_fields_encode(out, table_fields, ARRAY_LEN(table_fields), t);
}

void ledger_segment_encode(struct buf *out, const struct ledger_segment *s)
{
    ledger_fields_encode(out, segment_fields, ARRAY_LEN(segment_fields), s);
}

void ledger_shard_encode(struct buf *out, const struct ledger_shard *s)
{
    ledger_fields_encode(out, shard_fields, ARRAY_LEN(shard_fields), s);
}

void ledger_place_encode(struct buf *out, const struct ledger_place *p)
{
    ledger_fields_encode(out, place_fields, ARRAY_LEN(place_fields), p);
}

void ledger_source_encode(struct buf *out, const struct ledger_source *s)
{
    ledger_fields_encode(out, source_fields, ARRAY_LEN(source_fields), s);
}

void ledger_carrier_encode(struct buf *out, const struct ledger_carrier *c)
{
    ledger_fields_encode(out, carrier_fields, ARRAY_LEN(carrier_fields), c);
}

void ledger_place_key(struct buf *out, const char *table)
{
    buf_printf(out, "place/%s", table);
}

void ledger_carrier_key(struct buf *out, int32_t partition)
{
    buf_printf(out, "carrier/%" PRId32, partition);
}

void ledger_table_key(struct buf *out, const char *table)
{
    buf_printf(out, "table/%s", table);
}

void ledger_segment_key(struct buf *out, const char *table, int64_t segment)
{
    buf_printf(out, "segment/%s/%" PRId64, table, segment);
}

void ledger_shard_key(struct buf *out, const char *table, const char *shard)
{
    buf_printf(out, "shard/%s/%s", table, shard);
}

/* ---- decode ---- */

int ledger_table_decode(struct ledger_table *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};

    if (ledger_fields_decode(&t, table_fields, ARRAY_LEN(table_fields), json, err) < 0)
        return -1;
    *ret = t;
    t = (struct ledger_table){0};
    return 0;
}

int ledger_segment_decode(struct ledger_segment *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_segment_release) struct ledger_segment s = {0};

    if (ledger_fields_decode(&s, segment_fields, ARRAY_LEN(segment_fields), json, err) < 0)
        return -1;
    *ret = s;
    s = (struct ledger_segment){0};
    return 0;
}

int ledger_shard_decode(struct ledger_shard *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_shard_release) struct ledger_shard s = {0};

    if (ledger_fields_decode(&s, shard_fields, ARRAY_LEN(shard_fields), json, err) < 0)
        return -1;
    *ret = s;
    s = (struct ledger_shard){0};
    return 0;
}

int ledger_place_decode(struct ledger_place *ret, struct bytes json, struct error *err)
{
    struct ledger_place p = {0};

    if (ledger_fields_decode(&p, place_fields, ARRAY_LEN(place_fields), json, err) < 0)
        return -1;
    *ret = p;
    return 0;
}

int ledger_source_decode(struct ledger_source *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_source_release) struct ledger_source s = {0};

    if (ledger_fields_decode(&s, source_fields, ARRAY_LEN(source_fields), json, err) < 0)
        return -1;
    *ret = s;
    s = (struct ledger_source){0};
    return 0;
}

int ledger_carrier_decode(struct ledger_carrier *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_carrier_release) struct ledger_carrier c = {0};

    if (ledger_fields_decode(&c, carrier_fields, ARRAY_LEN(carrier_fields), json, err) < 0)
        return -1;
    *ret = c;
    c = (struct ledger_carrier){0};
    return 0;
}

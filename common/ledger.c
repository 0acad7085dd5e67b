#include "common/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/json_reader.h"

static const char *const phase_names[] = {"snapshot", "tail", "gap",
                                          "paused",   "gone", "failed"};
static const char *const status_names[] = {"not process",        "no need to process",
                                           "prepare stage",      "in processing",
                                           "wait father finish", "done"};

/* One table of fields a record describes both directions. */
enum field_kind {
    FIELD_STRING,   /* char *, never NULL */
    FIELD_NULLABLE, /* char *, NULL is null */
    FIELD_INT64,
    FIELD_INT32,
    FIELD_BOOL,
    FIELD_MARK, /* bool; left out when false */
    FIELD_PHASE,
    FIELD_STATUS,
    FIELD_SCHEMA,  /* struct key_schema */
    FIELD_OFFSETS, /* int64_t *, as many as the record's partitions; NULL is null */
    FIELD_INDEXES, /* struct ddb_indexes; left out when there are none */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
};

#define TABLE_FIELD(kind, member)                                                              \
    {                                                                                          \
#member, kind, offsetof(struct ledger_table, member)                                   \
    }
static const struct field table_fields[] = {
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
static const struct field segment_fields[] = {
    SEGMENT_FIELD(FIELD_INT64, generation),  SEGMENT_FIELD(FIELD_INT64, segment),
    SEGMENT_FIELD(FIELD_NULLABLE, last_key), SEGMENT_FIELD(FIELD_INT64, rows),
    SEGMENT_FIELD(FIELD_INT64, bytes),       SEGMENT_FIELD(FIELD_BOOL, done),
};

#define SHARD_FIELD(kind, member)                                                              \
    {                                                                                          \
#member, kind, offsetof(struct ledger_shard, member)                                   \
    }
static const struct field shard_fields[] = {
    SHARD_FIELD(FIELD_INT64, generation),     SHARD_FIELD(FIELD_STRING, id),
    SHARD_FIELD(FIELD_STRING, parent),        SHARD_FIELD(FIELD_STATUS, status),
    SHARD_FIELD(FIELD_STRING, sequence),      SHARD_FIELD(FIELD_INT64, records),
    SHARD_FIELD(FIELD_INT64, updated_ms),     SHARD_FIELD(FIELD_INT64, source_ms),
    SHARD_FIELD(FIELD_INT64, complete_to_ms), SHARD_FIELD(FIELD_MARK, adopted),
};

#define PLACE_FIELD_COUNT 1
static const struct field place_fields[PLACE_FIELD_COUNT] = {{"partition", FIELD_INT32, 0}};

/* ---- release and copy ---- */

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

const char *ledger_phase_name(enum ledger_phase p)
{
    return phase_names[p];
}

const char *shard_status_name(enum shard_status s)
{
    return status_names[s];
}

/* ---- encode ---- */

static void encode_string(struct buf *out, const char *s)
{
    if (s)
        buf_json_string(out, bytes_of(s));
    else
        buf_lit(out, "null");
}

static void encode_offsets(struct buf *out, const struct ledger_table *t)
{
    if (!t->begin_offsets) {
        buf_lit(out, "null");
        return;
    }
    for (int32_t i = 0; i < t->partitions; i++)
        buf_printf(out, "%c%" PRId64, i ? ',' : '[', t->begin_offsets[i]);
    buf_char(out, ']');
}

static void encode_field(struct buf *out, const struct field *f, const void *record)
{
    const void *at = (const char *)record + f->at;

    switch (f->kind) {
    case FIELD_STRING:
    case FIELD_NULLABLE:
        encode_string(out, *(char *const *)at);
        break;
    case FIELD_INT64:
        buf_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case FIELD_INT32:
        buf_printf(out, "%" PRId32, *(const int32_t *)at);
        break;
    case FIELD_BOOL:
    case FIELD_MARK:
        buf_printf(out, "%s", *(const bool *)at ? "true" : "false");
        break;
    case FIELD_PHASE:
        encode_string(out, phase_names[*(const enum ledger_phase *)at]);
        break;
    case FIELD_STATUS:
        encode_string(out, status_names[*(const enum shard_status *)at]);
        break;
    case FIELD_SCHEMA:
        if (((const struct key_schema *)at)->hash.name)
            key_schema_write(out, at);
        else
            buf_lit(out, "null");
        break;
    case FIELD_OFFSETS:
        encode_offsets(out, record);
        break;
    case FIELD_INDEXES:
        ddb_indexes_write(out, at);
        break;
    }
}

static bool is_left_out(const struct field *f, const void *record)
{
    const void *at = (const char *)record + f->at;

    if (f->kind == FIELD_MARK)
        return !*(const bool *)at;
    return f->kind == FIELD_INDEXES && ((const struct ddb_indexes *)at)->count == 0;
}

/* The first field is never left out. */
static void encode_record(struct buf *out, const struct field *fields, size_t count,
                          const void *record)
{
    for (size_t i = 0; i < count; i++) {
        if (is_left_out(&fields[i], record))
            continue;
        buf_printf(out, "%c\"%s\":", i ? ',' : '{', fields[i].name);
        encode_field(out, &fields[i], record);
    }
    buf_char(out, '}');
}

void ledger_table_encode(struct buf *out, const struct ledger_table *t)
{
    encode_record(out, table_fields, ARRAY_LEN(table_fields), t);
}

void ledger_segment_encode(struct buf *out, const struct ledger_segment *s)
{
    encode_record(out, segment_fields, ARRAY_LEN(segment_fields), s);
}

void ledger_shard_encode(struct buf *out, const struct ledger_shard *s)
{
    encode_record(out, shard_fields, ARRAY_LEN(shard_fields), s);
}

void ledger_place_encode(struct buf *out, int32_t partition)
{
    encode_record(out, place_fields, PLACE_FIELD_COUNT, &partition);
}

void ledger_place_key(struct buf *out, const char *table)
{
    buf_printf(out, "place/%s", table);
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

static bool decode_string(struct json_reader *r, char **at)
{
    AUTO(buf_release) struct buf text;
    struct bytes raw;
    bool lone = false;

    buf_init(&text, SIZE_MAX);
    if (!json_string(r, &raw))
        return false;
    json_unescape(&text, raw, &lone);
    *at = bytes_dup(buf_slice(&text));
    return true;
}

static bool decode_enum(struct json_reader *r, const char *const *names, size_t count, int *at)
{
    struct bytes raw;

    if (!json_string(r, &raw))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(raw, bytes_of(names[i]))) {
            *at = (int)i;
            return true;
        }
    }
    return false;
}

static bool decode_schema(struct json_reader *r, struct key_schema *at)
{
    struct error ignored; /* the caller names the field */
    struct bytes slice;

    if (json_peek(r) == JSON_NULL)
        return json_null(r);
    return json_skip(r, &slice) && key_schema_read(at, slice, &ignored) == 0;
}

static bool decode_offsets(struct json_reader *r, struct ledger_table *t)
{
    int32_t n = 0;

    if (json_peek(r) == JSON_NULL)
        return json_null(r);
    if (t->partitions <= 0 || !json_array_begin(r))
        return false;
    t->begin_offsets = xcalloc((size_t)t->partitions, sizeof(*t->begin_offsets));
    while (json_array_next(r))
        if (n >= t->partitions || !json_int64(r, &t->begin_offsets[n++]))
            return false;
    return !json_failed(r) && n == t->partitions;
}

static bool decode_int32(struct json_reader *r, int32_t *at)
{
    int64_t v;

    if (!json_int64(r, &v) || v < 0 || v > INT32_MAX)
        return false;
    *at = (int32_t)v;
    return true;
}

static bool decode_field(struct json_reader *r, const struct field *f, void *record)
{
    void *at = (char *)record + f->at;

    switch (f->kind) {
    case FIELD_STRING:
        return decode_string(r, at);
    case FIELD_NULLABLE:
        return json_peek(r) == JSON_NULL ? json_null(r) : decode_string(r, at);
    case FIELD_INT64:
        return json_int64(r, at);
    case FIELD_INT32:
        return decode_int32(r, at);
    case FIELD_BOOL:
    case FIELD_MARK:
        return json_bool(r, at);
    case FIELD_PHASE:
        return decode_enum(r, phase_names, ARRAY_LEN(phase_names), at);
    case FIELD_STATUS:
        return decode_enum(r, status_names, ARRAY_LEN(status_names), at);
    case FIELD_SCHEMA:
        return decode_schema(r, at);
    case FIELD_OFFSETS:
        return decode_offsets(r, record);
    case FIELD_INDEXES:
        return ddb_indexes_read(at, r);
    }
    return false;
}

static size_t field_of(const struct field *fields, size_t count, struct bytes name)
{
    size_t i = 0;

    while (i < count && !bytes_equal(name, bytes_of(fields[i].name)))
        i++;
    return i;
}

static bool may_be_absent(const struct field *f)
{
    return f->kind == FIELD_INDEXES || f->kind == FIELD_MARK;
}

/* Every field must stand there once; unknown ones are from a newer version and are left alone.
 */
static int decode_record(void *record, const struct field *fields, size_t count,
                         struct bytes json, struct error *err)
{
    struct json_reader r;
    struct bytes name;
    uint64_t seen = 0;

    json_reader_init(&r, json);
    if (!json_object_begin(&r))
        return error_set(err, ERR_DATA, "ledger record: no JSON object");
    while (json_object_next(&r, &name)) {
        size_t i = field_of(fields, count, name);

        if (i == count) {
            json_skip(&r, NULL);
            continue;
        }
        if (seen & (1ULL << i) || !decode_field(&r, &fields[i], record))
            return error_set(err, ERR_DATA, "ledger record: bad field \"%s\"", fields[i].name);
        seen |= 1ULL << i;
    }
    if (!json_end(&r))
        return json_reader_error(&r, err);
    for (size_t i = 0; i < count; i++)
        if (!(seen & (1ULL << i)) && !may_be_absent(&fields[i]))
            return error_set(err, ERR_DATA, "ledger record: no field \"%s\"", fields[i].name);
    return 0;
}

int ledger_table_decode(struct ledger_table *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};

    if (decode_record(&t, table_fields, ARRAY_LEN(table_fields), json, err) < 0)
        return -1;
    *ret = t;
    t = (struct ledger_table){0};
    return 0;
}

int ledger_segment_decode(struct ledger_segment *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_segment_release) struct ledger_segment s = {0};

    if (decode_record(&s, segment_fields, ARRAY_LEN(segment_fields), json, err) < 0)
        return -1;
    *ret = s;
    s = (struct ledger_segment){0};
    return 0;
}

int ledger_shard_decode(struct ledger_shard *ret, struct bytes json, struct error *err)
{
    AUTO(ledger_shard_release) struct ledger_shard s = {0};

    if (decode_record(&s, shard_fields, ARRAY_LEN(shard_fields), json, err) < 0)
        return -1;
    *ret = s;
    s = (struct ledger_shard){0};
    return 0;
}

int ledger_place_decode(int32_t *ret, struct bytes json, struct error *err)
{
    int32_t partition = 0;

    if (decode_record(&partition, place_fields, PLACE_FIELD_COUNT, json, err) < 0)
        return -1;
    *ret = partition;
    return 0;
}

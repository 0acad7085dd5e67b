#include "common/messages/ledger_field.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"

static const char *const phase_names[] = {"snapshot", "tail", "gap",
                                          "paused",   "gone", "failed"};
static const char *const status_names[] = {"not process",        "no need to process",
                                           "prepare stage",      "in processing",
                                           "wait father finish", "done"};

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

static void encode_field(struct buf *out, const struct ledger_field *f, const void *record)
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

static bool is_left_out(const struct ledger_field *f, const void *record)
{
    const void *at = (const char *)record + f->at;

    if (f->kind == FIELD_MARK)
        return !*(const bool *)at;
    return f->kind == FIELD_INDEXES && ((const struct ddb_indexes *)at)->count == 0;
}

void ledger_fields_encode(struct buf *out, const struct ledger_field *fields, size_t count,
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

static bool decode_field(struct json_reader *r, const struct ledger_field *f, void *record)
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

static size_t field_of(const struct ledger_field *fields, size_t count, struct bytes name)
{
    size_t i = 0;

    while (i < count && !bytes_equal(name, bytes_of(fields[i].name)))
        i++;
    return i;
}

int ledger_fields_decode(void *record, const struct ledger_field *fields, size_t count,
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
        if (!(seen & (1ULL << i)) && fields[i].kind != FIELD_INDEXES &&
            fields[i].kind != FIELD_MARK)
            return error_set(err, ERR_DATA, "ledger record: no field \"%s\"", fields[i].name);
    return 0;
}

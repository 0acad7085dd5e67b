#include "common/messages/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/json/json_fields.h"

/* ---- what fields hold ---- */

static const char *const phase_names[] = {"snapshot", "tail", "gap",
                                          "paused",   "gone", "failed"};

const char *ledger_phase_name(enum ledger_phase p)
{
    return phase_names[p];
}

static const struct json_kind phase_kind = {.names = phase_names,
                                            .name_count = ARRAY_LEN(phase_names)};

static const char *const status_names[] = {"not process",        "no need to process",
                                           "prepare stage",      "in processing",
                                           "wait father finish", "done"};

const char *ledger_shard_status_name(enum shard_status status)
{
    return status_names[status];
}

static const struct json_kind status_kind = {.names = status_names,
                                             .name_count = ARRAY_LEN(status_names)};

/* null before the first generation */
static int read_schema(struct json_reader *r, void *at, struct error *err)
{
    struct bytes slice;

    if (json_peek(r) == JSON_NULL)
        return json_null(r) ? 0 : -1;
    return json_skip(r, &slice) ? key_schema_read(at, slice, err) : -1;
}

static void write_schema(struct buf *out, const void *at)
{
    const struct key_schema *schema = at;

    if (schema->hash.name)
        key_schema_write(out, schema);
    else
        buf_lit(out, "null");
}

static void copy_schema(void *ret, const void *at)
{
    key_schema_copy(ret, at);
}

static void release_schema(void *at)
{
    key_schema_release(at);
}

static const struct json_kind schema_kind = {
    .read = read_schema, .write = write_schema, .copy = copy_schema, .release = release_schema};

static int read_indexes(struct json_reader *r, void *at, struct error *err)
{
    return ddb_indexes_read(at, r, err);
}

static void write_indexes(struct buf *out, const void *at)
{
    ddb_indexes_write(out, at);
}

static bool no_indexes(const void *at)
{
    return ((const struct ddb_indexes *)at)->count == 0;
}

static void copy_indexes(void *ret, const void *at)
{
    ddb_indexes_copy(ret, at);
}

static void release_indexes(void *at)
{
    ddb_indexes_release(at);
}

static const struct json_kind indexes_kind = {.read = read_indexes,
                                              .write = write_indexes,
                                              .is_left_out = no_indexes,
                                              .copy = copy_indexes,
                                              .release = release_indexes};

/* One per partition: their number stands before them in the record. */
static int read_offsets(struct json_reader *r, void *at, struct error *err)
{
    struct ledger_table *t = at;
    int32_t n = 0;

    if (json_peek(r) == JSON_NULL)
        return json_null(r) ? 0 : -1;
    t->begin_offsets = xcalloc((size_t)t->partitions, sizeof(*t->begin_offsets));
    json_array_begin(r);
    for (; json_array_next(r); n++)
        if (n < t->partitions)
            json_int64(r, &t->begin_offsets[n]);
        else
            json_skip(r, NULL);
    return n > 0 && n == t->partitions
               ? 0
               : error_set(err, ERR_DATA, "not one offset per partition");
}

static void write_offsets(struct buf *out, const void *at)
{
    const struct ledger_table *t = at;

    if (!t->begin_offsets) {
        buf_lit(out, "null");
        return;
    }
    for (int32_t i = 0; i < t->partitions; i++)
        buf_printf(out, "%c%" PRId64, i ? ',' : '[', t->begin_offsets[i]);
    buf_char(out, ']');
}

static void copy_offsets(void *ret, const void *at)
{
    const struct ledger_table *t = at;
    size_t size = sizeof(*t->begin_offsets) * (size_t)t->partitions;

    if (t->begin_offsets)
        ((struct ledger_table *)ret)->begin_offsets =
            memcpy(xmalloc(size), t->begin_offsets, size);
}

static void release_offsets(void *at)
{
    free(((struct ledger_table *)at)->begin_offsets);
}

static const struct json_kind offsets_kind = {.read = read_offsets,
                                              .write = write_offsets,
                                              .copy = copy_offsets,
                                              .release = release_offsets};

static const struct json_field handled_list[] = {
    JSON_FIELD("offset", struct ledger_handled, offset, &json_fields_count),
    JSON_FIELD("id", struct ledger_handled, id, &json_fields_text),
    JSON_FIELD("refused", struct ledger_handled, refused, &json_fields_text),
    JSON_FIELD("ts_ms", struct ledger_handled, ts_ms, &json_fields_count_or_none),
};
static const struct json_fields handled_fields =
    JSON_FIELDS("a handled request", struct ledger_handled, handled_list);

/* A newer version may keep more. */
static int read_handled(struct json_reader *r, void *at, struct error *err)
{
    struct ledger_table *t = at;

    json_array_begin(r);
    while (json_array_next(r)) {
        if (t->handled_count == LEDGER_HANDLED_MOST) {
            json_skip(r, NULL);
            continue;
        }
        if (json_fields_read(&t->handled[t->handled_count++], NULL, &handled_fields, r, err) <
            0)
            return -1;
    }
    return 0;
}

static void write_handled(struct buf *out, const void *at)
{
    const struct ledger_table *t = at;

    buf_char(out, '[');
    for (size_t i = 0; i < t->handled_count; i++) {
        if (i > 0)
            buf_char(out, ',');
        json_fields_encode(out, &t->handled[i], &handled_fields);
    }
    buf_char(out, ']');
}

static bool none_handled(const void *at)
{
    return ((const struct ledger_table *)at)->handled_count == 0;
}

static void copy_handled(void *ret, const void *at)
{
    const struct ledger_table *t = at;

    for (size_t i = 0; i < t->handled_count; i++)
        json_fields_copy(&((struct ledger_table *)ret)->handled[i], &t->handled[i],
                         &handled_fields);
}

static void release_handled(void *at)
{
    struct ledger_table *t = at;

    for (size_t i = 0; i < t->handled_count; i++)
        json_fields_release(&t->handled[i], &handled_fields);
}

static const struct json_kind handled_kind = {.read = read_handled,
                                              .write = write_handled,
                                              .is_left_out = none_handled,
                                              .copy = copy_handled,
                                              .release = release_handled};

/* ---- records ---- */

static const struct json_field source_list[] = {
    JSON_FIELD("account", struct ledger_source, account, &json_fields_text),
    JSON_FIELD("region", struct ledger_source, region, &json_fields_text),
    JSON_FIELD("endpoint", struct ledger_source, endpoint, &json_fields_text),
    JSON_FIELD("prefix", struct ledger_source, prefix, &json_fields_text),
};
static const struct json_fields source_fields =
    JSON_FIELDS("the record", struct ledger_source, source_list);

static const struct json_field place_list[] = {
    JSON_FIELD("partition", struct ledger_place, partition, &json_fields_int32),
    JSON_FIELD("forget", struct ledger_place, forget, &json_fields_mark),
};
static const struct json_fields place_fields =
    JSON_FIELDS("the record", struct ledger_place, place_list);

static const struct json_field carrier_list[] = {
    JSON_FIELD("white", struct ledger_carrier, white, &json_fields_text),
    JSON_FIELD("black", struct ledger_carrier, black, &json_fields_text),
};
static const struct json_fields carrier_fields =
    JSON_FIELDS("the record", struct ledger_carrier, carrier_list);

static const struct json_field table_list[] = {
    JSON_FIELD("table", struct ledger_table, table, &json_fields_text),
    JSON_FIELD("topic", struct ledger_table, topic, &json_fields_text),
    JSON_FIELD("phase", struct ledger_table, phase, &phase_kind),
    JSON_FIELD("reason", struct ledger_table, reason, &json_fields_text),
    JSON_FIELD("generation", struct ledger_table, generation, &json_fields_int64),
    JSON_FIELD("table_id", struct ledger_table, table_id, &json_fields_text),
    JSON_FIELD("stream_arn", struct ledger_table, stream_arn, &json_fields_text),
    JSON_FIELD("key_schema", struct ledger_table, key_schema, &schema_kind),
    JSON_FIELD("item_count", struct ledger_table, item_count, &json_fields_int64),
    JSON_FIELD("segments", struct ledger_table, segments, &json_fields_int64),
    JSON_FIELD("partitions", struct ledger_table, partitions, &json_fields_int32),
    JSON_FIELD("log_id", struct ledger_table, log_id, &json_fields_text),
    JSON_FIELD("rows", struct ledger_table, rows, &json_fields_bool),
    {BYTES_LIT("begin_offsets"), &offsets_kind}, /* at: the record */
    JSON_FIELD("started_ms", struct ledger_table, started_ms, &json_fields_int64),
    JSON_FIELD("finished_ms", struct ledger_table, finished_ms, &json_fields_int64),
    JSON_FIELD("signal_offset", struct ledger_table, signal_offset, &json_fields_int64),
    JSON_FIELD("indexes", struct ledger_table, indexes, &indexes_kind),
    JSON_FIELD("renew", struct ledger_table, renew, &json_fields_mark),
    JSON_FIELD("forget", struct ledger_table, forget, &json_fields_mark),
    JSON_FIELD("lost_log", struct ledger_table, lost_log, &json_fields_mark),
    JSON_FIELD("retry", struct ledger_table, retry, &json_fields_mark),
    JSON_FIELD("gaps", struct ledger_table, gaps, &json_fields_count_or_none),
    {BYTES_LIT("handled"), &handled_kind}, /* at: the record */
    JSON_FIELD("taken_over", struct ledger_table, taken_over, &json_fields_mark),
    JSON_FIELD("listed_ms", struct ledger_table, listed_ms, &json_fields_count_or_none),
};
static const struct json_fields table_fields =
    JSON_FIELDS("the record", struct ledger_table, table_list);

static const struct json_field segment_list[] = {
    JSON_FIELD("generation", struct ledger_segment, generation, &json_fields_int64),
    JSON_FIELD("segment", struct ledger_segment, segment, &json_fields_int64),
    JSON_FIELD("last_key", struct ledger_segment, last_key, &json_fields_text_or_null),
    JSON_FIELD("rows", struct ledger_segment, rows, &json_fields_int64),
    JSON_FIELD("bytes", struct ledger_segment, bytes, &json_fields_int64),
    JSON_FIELD("done", struct ledger_segment, done, &json_fields_bool),
};
static const struct json_fields segment_fields =
    JSON_FIELDS("the record", struct ledger_segment, segment_list);

static const struct json_field shard_list[] = {
    JSON_FIELD("generation", struct ledger_shard, generation, &json_fields_int64),
    JSON_FIELD("id", struct ledger_shard, id, &json_fields_text),
    JSON_FIELD("parent", struct ledger_shard, parent, &json_fields_text),
    JSON_FIELD("status", struct ledger_shard, status, &status_kind),
    JSON_FIELD("sequence", struct ledger_shard, sequence, &json_fields_text),
    JSON_FIELD("records", struct ledger_shard, records, &json_fields_int64),
    JSON_FIELD("updated_ms", struct ledger_shard, updated_ms, &json_fields_int64),
    JSON_FIELD("source_ms", struct ledger_shard, source_ms, &json_fields_int64),
    JSON_FIELD("complete_to_ms", struct ledger_shard, complete_to_ms, &json_fields_int64),
    JSON_FIELD("adopted", struct ledger_shard, adopted, &json_fields_mark),
};
static const struct json_fields shard_fields =
    JSON_FIELDS("the record", struct ledger_shard, shard_list);

static int decode(void *ret, const struct json_fields *fields, struct bytes json,
                  struct error *err)
{
    return json_fields_decode(ret, fields, json, err) < 0 ? error_prefix(err, "ledger record")
                                                          : 0;
}

void ledger_source_encode(struct buf *out, const struct ledger_source *source)
{
    json_fields_encode(out, source, &source_fields);
}

int ledger_source_decode(struct ledger_source *ret, struct bytes json, struct error *err)
{
    return decode(ret, &source_fields, json, err);
}

void ledger_source_release(struct ledger_source *source)
{
    json_fields_release(source, &source_fields);
}

void ledger_place_encode(struct buf *out, const struct ledger_place *p)
{
    json_fields_encode(out, p, &place_fields);
}

int ledger_place_decode(struct ledger_place *ret, struct bytes json, struct error *err)
{
    return decode(ret, &place_fields, json, err);
}

void ledger_carrier_encode(struct buf *out, const struct ledger_carrier *carrier)
{
    json_fields_encode(out, carrier, &carrier_fields);
}

int ledger_carrier_decode(struct ledger_carrier *ret, struct bytes json, struct error *err)
{
    return decode(ret, &carrier_fields, json, err);
}

void ledger_carrier_release(struct ledger_carrier *carrier)
{
    json_fields_release(carrier, &carrier_fields);
}

void ledger_table_encode(struct buf *out, const struct ledger_table *t)
{
    json_fields_encode(out, t, &table_fields);
}

int ledger_table_decode(struct ledger_table *ret, struct bytes json, struct error *err)
{
    return decode(ret, &table_fields, json, err);
}

void ledger_table_release(struct ledger_table *t)
{
    json_fields_release(t, &table_fields);
}

void ledger_table_copy(struct ledger_table *ret, const struct ledger_table *t)
{
    json_fields_copy(ret, t, &table_fields);
}

void ledger_table_handled(struct ledger_table *t, const struct ledger_handled *handled)
{
    struct ledger_handled *kept;

    if (t->handled_count == LEDGER_HANDLED_MOST) {
        json_fields_release(&t->handled[0], &handled_fields);
        memmove(t->handled, t->handled + 1, --t->handled_count * sizeof(*t->handled));
    }
    kept = &t->handled[t->handled_count++];
    *kept = *handled;
    json_fields_copy(kept, handled, &handled_fields);
}

const struct ledger_handled *ledger_table_find_handled(const struct ledger_table *t,
                                                       const char *id)
{
    for (size_t i = 0; i < t->handled_count; i++)
        if (strcmp(t->handled[i].id, id) == 0)
            return &t->handled[i];
    return NULL;
}

void ledger_segment_encode(struct buf *out, const struct ledger_segment *segment)
{
    json_fields_encode(out, segment, &segment_fields);
}

int ledger_segment_decode(struct ledger_segment *ret, struct bytes json, struct error *err)
{
    return decode(ret, &segment_fields, json, err);
}

void ledger_segment_release(struct ledger_segment *segment)
{
    json_fields_release(segment, &segment_fields);
}

void ledger_shard_encode(struct buf *out, const struct ledger_shard *shard)
{
    json_fields_encode(out, shard, &shard_fields);
}

int ledger_shard_decode(struct ledger_shard *ret, struct bytes json, struct error *err)
{
    return decode(ret, &shard_fields, json, err);
}

void ledger_shard_release(struct ledger_shard *shard)
{
    json_fields_release(shard, &shard_fields);
}

void ledger_shard_copy(struct ledger_shard *ret, const struct ledger_shard *shard)
{
    json_fields_copy(ret, shard, &shard_fields);
}

/* ---- keys ---- */

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

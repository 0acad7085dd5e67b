#include "common/messages/dead_letter.h"

#include <inttypes.h>

#include "common/base/base64.h"
#include "common/json/json_fields.h"
#include "common/json/json_text.h"

static void put_value(struct buf *out, struct bytes value)
{
    if (!value.len) {
        buf_lit(out, "null");
        return;
    }
    buf_char(out, '"');
    base64_encode(out, value);
    buf_char(out, '"');
}

static void put_ascii(struct buf *out, struct bytes text)
{
    AUTO(buf_release) struct buf ascii = {.ceiling = text.len};

    for (size_t i = 0; i < text.len; i++)
        buf_char(&ascii, (unsigned char)text.p[i] < 0x7f ? text.p[i] : '?');
    json_stringify(out, buf_slice(&ascii));
}

void dead_letter_header(struct buf *out, struct bytes name, struct bytes value)
{
    buf_char(out, out->len ? ',' : '{');
    put_ascii(out, name);
    buf_char(out, ':');
    put_ascii(out, value);
}

static void put_text(struct buf *out, const char *before, struct bytes text)
{
    buf_bytes(out, bytes_of(before));
    json_stringify(out, text);
}

void dead_letter_encode(struct buf *out, const struct dead_letter *d)
{
    put_text(out, "{\"stage\":", d->stage);
    put_text(out, ",\"table\":", d->table);
    put_text(out, ",\"reason\":", d->reason);
    put_text(out, ",\"topic\":", d->topic);
    buf_printf(out, ",\"partition\":%" PRId32 ",\"offset\":", d->partition);
    if (d->offset < 0)
        buf_lit(out, "null");
    else
        buf_printf(out, "%" PRId64, d->offset);
    buf_printf(out, ",\"generation\":%" PRId64 ",\"keys\":", d->generation);
    buf_bytes(out, d->keys.len ? d->keys : BYTES_LIT("null"));
    buf_lit(out, ",\"headers\":");
    buf_bytes(out, d->headers.len ? d->headers : BYTES_LIT("{}"));
    buf_lit(out, ",\"value\":");
    put_value(out, d->value);
    buf_printf(out, ",\"ts_ms\":%" PRId64 ",\"old_document_stays\":%s}", d->ts_ms,
               d->old_document_stays ? "true" : "false");
}

/* ---- reading ---- */

struct place { /* of a letter */
    int32_t partition;
    int64_t offset;
};

static const struct json_field place_list[] = {
    JSON_FIELD("partition", struct place, partition, &json_fields_int32),
    JSON_FIELD("offset", struct place, offset, &json_fields_count),
};
static const struct json_fields place_fields =
    JSON_FIELDS("a letter", struct place, place_list);

static int read_place(struct json_reader *r, void *at, struct error *err)
{
    return json_fields_read(at, NULL, &place_fields, r, err);
}

static const struct json_kind place_kind = {.read = read_place};

struct record {
    struct bytes stage;
    struct bytes table;
    struct bytes keys;
    struct place letter;
};

enum {
    STAGE,
    TABLE,
    KEYS,
    LETTER,
};
static const struct json_field record_list[] = {
    [STAGE] = JSON_FIELD("stage", struct record, stage, &json_fields_raw),
    [TABLE] = JSON_FIELD("table", struct record, table, &json_fields_raw),
    [KEYS] = JSON_OPTIONAL("keys", struct record, keys, &json_fields_object),
    [LETTER] = JSON_OPTIONAL("letter", struct record, letter, &place_kind),
};
static const struct json_fields record_fields =
    JSON_FIELDS("a dead letter", struct record, record_list);

/* A mark has a letter; a letter has keys, or null. */
static int see(struct record *record, struct bytes message, struct error *err)
{
    struct json_reader r;
    uint64_t seen;

    json_reader_init(&r, message);
    if (json_fields_read(record, &seen, &record_fields, &r, err) < 0)
        return -1;
    if (!json_end(&r))
        return json_reader_error(&r, err);
    return json_fields_need(
        UINT64_C(1) << (json_raw_is(record->stage, BYTES_LIT("handled")) ? LETTER : KEYS), seen,
        &record_fields, err);
}

int dead_letter_see(struct dead_letter_seen *ret, struct bytes message, struct error *err)
{
    struct record record = {0};

    if (see(&record, message, err) < 0)
        return error_prefix(err, "dead letter");
    *ret = (struct dead_letter_seen){.is_mark = json_raw_is(record.stage, BYTES_LIT("handled")),
                                     .table = record.table,
                                     .keys = record.keys,
                                     .partition = record.letter.partition,
                                     .offset = record.letter.offset};
    return 0;
}

void dead_letter_mark_encode(struct buf *out, const struct dead_letter_mark *mark)
{
    put_text(out, "{\"stage\":\"handled\",\"table\":", mark->table);
    buf_printf(out,
               ",\"letter\":{\"partition\":%" PRId32 ",\"offset\":%" PRId64
               "},\"ts_ms\":%" PRId64 "}",
               mark->partition, mark->offset, mark->ts_ms);
}

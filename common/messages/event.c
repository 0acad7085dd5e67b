#include "common/messages/event.h"

#include "common/json/json_fields.h"
#include "common/json/json_text.h"

static const char *const control_names[] = {
    [CONTROL_NONE] = "",
    [CONTROL_SNAPSHOT_BEGIN] = "snapshot-begin",
    [CONTROL_SNAPSHOT_END] = "snapshot-end",
    [CONTROL_SKIPPED] = "skipped",
};

const char *event_control_name(enum event_control c)
{
    return control_names[c];
}

enum event_control event_control_of(struct bytes name)
{
    for (unsigned c = CONTROL_SNAPSHOT_BEGIN; c < ARRAY_LEN(control_names); c++)
        if (bytes_equal(name, bytes_of(control_names[c])))
            return c;
    return CONTROL_NONE;
}

/* ---- encoding ---- */

static void put_int(struct buf *out, int64_t n)
{
    char digits[20], *p = digits + sizeof(digits);
    uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;

    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (n < 0)
        buf_char(out, '-');
    buf_append(out, p, (size_t)(digits + sizeof(digits) - p));
}

static void put_object(struct buf *out, struct bytes object)
{
    buf_bytes(out, object.len ? object : BYTES_LIT("null"));
}

static void put_bool(struct buf *out, bool b)
{
    buf_bytes(out, b ? BYTES_LIT("true") : BYTES_LIT("false"));
}

static void put_source(struct buf *out, const struct event *ev)
{
    buf_lit(out, "\"source\":{\"connector\":\"dynamodb\",\"name\":\"");
    buf_bytes(out, ev->source.name);
    buf_lit(out, "\",\"table\":\"");
    buf_bytes(out, ev->source.table);
    buf_lit(out, "\",\"snapshot\":");
    put_bool(out, ev->source.snapshot);
    buf_lit(out, ",\"generation\":");
    put_int(out, ev->source.generation);
    buf_lit(out, ",\"ts_ms\":");
    if (ev->source.ts_ms < 0)
        buf_lit(out, "null");
    else
        put_int(out, ev->source.ts_ms);
    if (ev->source.ttl)
        buf_lit(out, ",\"ttl\":true");
    buf_char(out, '}');
}

static void put_control(struct buf *out, const struct event *ev)
{
    buf_lit(out, ",\"control\":{\"type\":\"");
    buf_bytes(out, bytes_of(event_control_name(ev->control.type)));
    if (ev->control.type == CONTROL_SKIPPED) {
        buf_lit(out, "\",\"reason\":\"");
        buf_bytes(out, ev->control.reason);
        buf_lit(out, "\"}");
        return;
    }
    buf_lit(out, "\",\"key_schema\":");
    buf_bytes(out, ev->control.key_schema);
    buf_lit(out, ",\"log_id\":\"");
    buf_bytes(out, ev->control.log_id);
    buf_lit(out, "\",\"rows\":");
    put_bool(out, ev->control.rows);
    buf_char(out, '}');
}

void event_encode(struct buf *out, const struct event *ev)
{
    /* one look at the ceiling and at most one growth; what is not an image stays far below */
    size_t about = ev->keys.len + ev->after.len + ev->before.len + 512;

    if (out->len + about <= out->ceiling)
        buf_reserve(out, about);
    buf_append(out, (const char[]){'{', '"', 'o', 'p', '"', ':', '"', (char)ev->op}, 8);
    buf_lit(out, "\",\"ts_ms\":");
    put_int(out, ev->ts_ms);
    buf_char(out, ',');
    put_source(out, ev);
    buf_lit(out, ",\"keys\":");
    put_object(out, ev->keys);
    buf_lit(out, ",\"after\":");
    put_object(out, ev->after);
    if (ev->before.len) {
        buf_lit(out, ",\"before\":");
        buf_bytes(out, ev->before);
    }
    if (ev->op == EVENT_CONTROL)
        put_control(out, ev);
    buf_char(out, '}');
}

/* ---- decoding ---- */

static int read_time(struct json_reader *r, void *at, struct error *err)
{
    int64_t *ret = at;

    if (json_peek(r) == JSON_NULL) {
        *ret = -1;
        return json_null(r) ? 0 : -1;
    }
    if (!json_int64(r, ret))
        return -1;
    return *ret < 0 ? error_set(err, ERR_DATA, "a negative time") : 0;
}

static const struct json_kind time_kind = {.read = read_time};

static int read_connector(struct json_reader *r, void *at, struct error *err)
{
    struct bytes raw;

    (void)at;
    if (!json_string(r, &raw))
        return -1;
    return json_raw_is(raw, BYTES_LIT("dynamodb"))
               ? 0
               : error_set(err, ERR_DATA, "not \"dynamodb\"");
}

static const struct json_kind connector_kind = {.read = read_connector};

static int read_source(struct json_reader *r, void *at, struct error *err)
{
    static const struct json_field list[] = {
        {BYTES_LIT("connector"), &connector_kind},
        JSON_FIELD("name", struct event, source.name, &json_fields_raw),
        JSON_FIELD("table", struct event, source.table, &json_fields_raw),
        JSON_FIELD("snapshot", struct event, source.snapshot, &json_fields_bool),
        JSON_FIELD("generation", struct event, source.generation, &json_fields_int64),
        JSON_FIELD("ts_ms", struct event, source.ts_ms, &time_kind),
        JSON_OPTIONAL("ttl", struct event, source.ttl, &json_fields_bool),
    };
    static const struct json_fields fields = JSON_FIELDS("source", struct event, list);
    struct event *ev = at;

    if (json_fields_read(ev, NULL, &fields, r, err) < 0)
        return -1;
    if (!ev->source.table.len)
        return error_set(err, ERR_DATA, "source names no table");
    if (ev->source.generation < 0)
        return error_set(err, ERR_DATA, "a negative generation");
    return 0;
}

static const struct json_kind source_kind = {.read = read_source};

static int read_type(struct json_reader *r, void *at, struct error *err)
{
    struct bytes raw;

    if (!json_string(r, &raw))
        return -1;
    *(enum event_control *)at = event_control_of(raw);
    return *(enum event_control *)at ? 0 : error_set(err, ERR_DATA, "an unknown type");
}

static const struct json_kind type_kind = {.read = read_type};

static int read_control(struct json_reader *r, void *at, struct error *err)
{
    enum {
        TYPE,
        REASON,
        KEY_SCHEMA,
        LOG_ID,
        ROWS
    };
    static const struct json_field list[] = {
        [TYPE] = JSON_FIELD("type", struct event, control.type, &type_kind),
        [REASON] = JSON_OPTIONAL("reason", struct event, control.reason, &json_fields_raw),
        [KEY_SCHEMA] =
            JSON_OPTIONAL("key_schema", struct event, control.key_schema, &json_fields_value),
        [LOG_ID] = JSON_OPTIONAL("log_id", struct event, control.log_id, &json_fields_raw),
        [ROWS] = JSON_OPTIONAL("rows", struct event, control.rows, &json_fields_bool),
    };
    static const struct json_fields fields = JSON_FIELDS("control", struct event, list);
    const uint64_t of_skipped = 1 << REASON,
                   of_others = 1 << KEY_SCHEMA | 1 << LOG_ID | 1 << ROWS;
    struct event *ev = at;
    uint64_t seen;

    if (json_fields_read(ev, &seen, &fields, r, err) < 0)
        return -1;
    return json_fields_need(ev->control.type == CONTROL_SKIPPED ? of_skipped : of_others, seen,
                            &fields, err);
}

static const struct json_kind control_kind = {.read = read_control};

static int read_op(struct json_reader *r, void *at, struct error *err)
{
    struct bytes raw;

    if (!json_string(r, &raw))
        return -1;
    if (raw.len != 1 || !memchr("rcudm", raw.p[0], 5))
        return error_set(err, ERR_DATA, "an unknown op");
    *(enum event_op *)at = (enum event_op)raw.p[0];
    return 0;
}

static const struct json_kind op_kind = {.read = read_op};

static const struct json_field members[] = {
    JSON_FIELD("op", struct event, op, &op_kind),
    JSON_FIELD("ts_ms", struct event, ts_ms, &json_fields_int64),
    {BYTES_LIT("source"), &source_kind},
    JSON_FIELD("keys", struct event, keys, &json_fields_object),
    JSON_FIELD("after", struct event, after, &json_fields_object),
    JSON_OPTIONAL("before", struct event, before, &json_fields_object),
    {BYTES_LIT("control"), &control_kind, .optional = true},
};
static const struct json_fields envelope = JSON_FIELDS("the message", struct event, members);

/* What each op must have and must not have. */
static int op_check(const struct event *ev, struct error *err)
{
    bool control = ev->control.type != CONTROL_NONE;
    bool skipped = control && ev->control.type == CONTROL_SKIPPED;
    bool image = ev->op == EVENT_ROW || ev->op == EVENT_CREATE || ev->op == EVENT_UPDATE;

    if (control != (ev->op == EVENT_CONTROL))
        return error_set(err, ERR_DATA, "op \"%c\" with%s \"control\"", (int)ev->op,
                         control ? "" : "out");
    if (!ev->keys.len != (control && !skipped))
        return error_set(err, ERR_DATA, "op \"%c\" with%s keys", (int)ev->op,
                         ev->keys.len ? "" : "out");
    if (!ev->after.len == image)
        return error_set(err, ERR_DATA, "op \"%c\" with%s an image", (int)ev->op,
                         ev->after.len ? "" : "out");
    return 0;
}

static int read_message(struct event *ev, struct bytes message, struct error *err)
{
    struct json_reader r;

    json_reader_init(&r, message);
    if (json_fields_read(ev, NULL, &envelope, &r, err) < 0)
        return -1;
    return json_end(&r) ? op_check(ev, err) : json_reader_error(&r, err);
}

int event_decode(struct event *ret, struct bytes message, struct error *err)
{
    struct event ev = {0};

    if (read_message(&ev, message, err) < 0)
        return error_prefix(err, "event");
    *ret = ev;
    return 0;
}

#include "common/messages/event.h"

#include "common/json/json_reader.h"
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

/* The known members of an object. */
struct members {
    const struct bytes *names; /* in the order in which the encoder writes them */
    unsigned count;
    unsigned next;     /* where the search begins: at once right in our own order */
    unsigned seen;     /* a bit each */
    const char *twice; /* a member that stands there twice */
};

#define MEMBERS(list) ((struct members){.names = (list), .count = ARRAY_LEN(list)})
#define MEMBER_END (-1)
#define MEMBER_UNKNOWN (-2)

/* The index of the next member, whose value is ahead. */
static int member_next(struct members *m, struct json_reader *r)
{
    struct bytes name;

    if (!json_object_next(r, &name))
        return MEMBER_END;
    for (unsigned i = 0; i < m->count; i++) {
        unsigned at = (m->next + i) % m->count;

        if (!json_raw_is(name, m->names[at]))
            continue;
        if (m->seen & 1u << at)
            m->twice = m->names[at].p;
        m->seen |= 1u << at;
        m->next = at + 1;
        return (int)at;
    }
    return MEMBER_UNKNOWN;
}

/* After the end: none stood there twice, and those needed (a bit each) were there. */
static int members_check(const struct members *m, unsigned needed, const struct json_reader *r,
                         const char *what, struct error *err)
{
    if (json_failed(r))
        return json_reader_error(r, err);
    if (m->twice)
        return error_set(err, ERR_DATA, "%s has \"%s\" twice", what, m->twice);
    for (unsigned i = 0; i < m->count; i++)
        if (needed & ~m->seen & 1u << i)
            return error_set(err, ERR_DATA, "%s has no \"%s\"", what, m->names[i].p);
    return 0;
}

/* The slice of an object; null leaves it empty. */
static void read_object(struct json_reader *r, struct bytes *ret)
{
    switch (json_peek(r)) {
    case JSON_OBJECT:
        json_skip(r, ret);
        break;
    case JSON_NULL:
        json_null(r);
        break;
    default:
        json_object_begin(r); /* which fails, and says so */
    }
}

static int read_time(struct json_reader *r, int64_t *ret, struct error *err)
{
    if (json_peek(r) == JSON_NULL) {
        json_null(r);
        *ret = -1;
    } else if (json_int64(r, ret) && *ret < 0) {
        return error_set(err, ERR_DATA, "a negative time");
    }
    return 0;
}

static int source_check(const struct event *ev, struct bytes connector, struct error *err)
{
    if (!json_raw_is(connector, BYTES_LIT("dynamodb")))
        return error_set(err, ERR_DATA, "source is not of connector \"dynamodb\"");
    if (!ev->source.table.len)
        return error_set(err, ERR_DATA, "source names no table");
    if (ev->source.generation < 0)
        return error_set(err, ERR_DATA, "a negative generation");
    return 0;
}

static int read_source(struct event *ev, struct json_reader *r, struct error *err)
{
    enum {
        CONNECTOR,
        NAME,
        TABLE,
        SNAPSHOT,
        GENERATION,
        TS_MS,
        TTL
    };
    static const struct bytes names[] = {
        BYTES_LIT("connector"),  BYTES_LIT("name"),  BYTES_LIT("table"), BYTES_LIT("snapshot"),
        BYTES_LIT("generation"), BYTES_LIT("ts_ms"), BYTES_LIT("ttl"),
    };
    struct members m = MEMBERS(names);
    struct bytes connector = {0};
    int member;

    json_object_begin(r);
    while ((member = member_next(&m, r)) != MEMBER_END) {
        if (member == CONNECTOR)
            json_string(r, &connector);
        else if (member == NAME)
            json_string(r, &ev->source.name);
        else if (member == TABLE)
            json_string(r, &ev->source.table);
        else if (member == SNAPSHOT)
            json_bool(r, &ev->source.snapshot);
        else if (member == GENERATION)
            json_int64(r, &ev->source.generation);
        else if (member == TTL)
            json_bool(r, &ev->source.ttl);
        else if (member == MEMBER_UNKNOWN)
            json_skip(r, NULL);
        else if (read_time(r, &ev->source.ts_ms, err) < 0)
            return -1;
    }
    if (members_check(&m, ~(1u << TTL), r, "source", err) < 0)
        return -1;
    return source_check(ev, connector, err);
}

static int read_control(struct event *ev, struct json_reader *r, struct error *err)
{
    enum {
        TYPE,
        REASON,
        KEY_SCHEMA,
        LOG_ID,
        ROWS
    };
    static const struct bytes names[] = {
        BYTES_LIT("type"),   BYTES_LIT("reason"), BYTES_LIT("key_schema"),
        BYTES_LIT("log_id"), BYTES_LIT("rows"),
    };
    struct members m = MEMBERS(names);
    struct bytes type = {0};
    unsigned needed = 1u << TYPE;
    int member;

    json_object_begin(r);
    while ((member = member_next(&m, r)) != MEMBER_END) {
        if (member == TYPE)
            json_string(r, &type);
        else if (member == REASON)
            json_string(r, &ev->control.reason);
        else if (member == KEY_SCHEMA)
            json_skip(r, &ev->control.key_schema);
        else if (member == LOG_ID)
            json_string(r, &ev->control.log_id);
        else if (member == ROWS)
            json_bool(r, &ev->control.rows);
        else
            json_skip(r, NULL);
    }
    ev->control.type = event_control_of(type);
    if (ev->control.type == CONTROL_SKIPPED)
        needed |= 1u << REASON;
    else if (ev->control.type != CONTROL_NONE)
        needed |= 1u << KEY_SCHEMA | 1u << LOG_ID | 1u << ROWS;
    if (members_check(&m, needed, r, "control", err) < 0)
        return -1;
    return ev->control.type ? 0 : error_set(err, ERR_DATA, "a control of unknown type");
}

static bool op_of(struct bytes raw, enum event_op *ret)
{
    if (raw.len != 1 || !memchr("rcudm", raw.p[0], 5))
        return false;
    *ret = (enum event_op)raw.p[0];
    return true;
}

/* What each op must have and must not have. */
static int op_check(const struct event *ev, bool control, struct error *err)
{
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

static int read_envelope(struct event *ev, struct json_reader *r, struct error *err)
{
    enum {
        OP,
        TS_MS,
        SOURCE,
        KEYS,
        AFTER,
        BEFORE,
        CONTROL
    };
    static const struct bytes names[] = {
        BYTES_LIT("op"),    BYTES_LIT("ts_ms"),  BYTES_LIT("source"),  BYTES_LIT("keys"),
        BYTES_LIT("after"), BYTES_LIT("before"), BYTES_LIT("control"),
    };
    struct members m = MEMBERS(names);
    struct bytes op = {0};
    int member;

    json_object_begin(r);
    while ((member = member_next(&m, r)) != MEMBER_END) {
        if (member == OP)
            json_string(r, &op);
        else if (member == TS_MS)
            json_int64(r, &ev->ts_ms);
        else if (member == KEYS)
            read_object(r, &ev->keys);
        else if (member == AFTER)
            read_object(r, &ev->after);
        else if (member == BEFORE)
            read_object(r, &ev->before);
        else if (member == MEMBER_UNKNOWN)
            json_skip(r, NULL);
        else if ((member == SOURCE ? read_source : read_control)(ev, r, err) < 0)
            return -1;
    }
    if (!json_failed(r))
        json_end(r);
    if (members_check(&m, ~(1u << BEFORE | 1u << CONTROL), r, "the message", err) < 0)
        return -1;
    if (!op_of(op, &ev->op))
        return error_set(err, ERR_DATA, "an unknown op");
    return op_check(ev, m.seen & 1u << CONTROL, err);
}

int event_decode(struct event *ret, struct bytes message, struct error *err)
{
    struct event ev = {0};
    struct json_reader r;

    json_reader_init(&r, message);
    if (read_envelope(&ev, &r, err) < 0)
        return error_prefix(err, "event");
    *ret = ev;
    return 0;
}

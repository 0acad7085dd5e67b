/* common/messages/table_signal.c - written member by member; read with the pull reader, since
 * keys may hold names and strings (NUL, half a surrogate pair) that a tree of C strings can't.
 */
#include "common/messages/table_signal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/json/json_reader.h"
#include "common/json/json_text.h"

static const char *const type_names[] = {"snapshot", "repair", "pause", "resume"};

enum member {
    MEMBER_ID,
    MEMBER_TYPE,
    MEMBER_TABLE,
    MEMBER_SENDER,
    MEMBER_TS_MS,
    MEMBER_REASON,
    MEMBER_GENERATION,
    MEMBER_KEYS,
    MEMBER_COUNT, /* and: unknown */
};

static const char *const member_names[MEMBER_COUNT] = {
    "id", "type", "table", "sender", "ts_ms", "reason", "generation", "keys"};

const char *table_signal_type_name(enum table_signal_type type)
{
    return type_names[type];
}

void table_signal_release(struct table_signal *s)
{
    free(s->id);
    free(s->table);
    free(s->sender);
    free(s->reason);
    for (size_t i = 0; i < s->key_count; i++)
        free(s->keys[i]);
    free(s->keys);
    *s = (struct table_signal){0};
}

/* ---- encode ---- */

static void encode_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_stringify(out, bytes_of(text));
}

static void encode_keys(struct buf *out, const struct table_signal *s)
{
    buf_lit(out, ",\"keys\":[");
    for (size_t i = 0; i < s->key_count; i++) {
        if (i > 0)
            buf_char(out, ',');
        buf_bytes(out, bytes_of(s->keys[i]));
    }
    buf_char(out, ']');
}

void table_signal_encode(struct buf *out, const struct table_signal *s)
{
    buf_lit(out, "{\"id\":");
    json_stringify(out, bytes_of(s->id));
    encode_text(out, "type", type_names[s->type]);
    encode_text(out, "table", s->table);
    encode_text(out, "sender", s->sender);
    buf_printf(out, ",\"ts_ms\":%" PRId64, s->ts_ms);
    if (s->reason)
        encode_text(out, "reason", s->reason);
    if (s->type == TABLE_SIGNAL_SNAPSHOT)
        buf_printf(out, ",\"generation\":%" PRId64, s->generation);
    if (s->type == TABLE_SIGNAL_REPAIR)
        encode_keys(out, s);
    buf_char(out, '}');
}

/* ---- decode ---- */

/* A string that a C string can hold. */
static bool decode_text(struct json_reader *r, char **at)
{
    struct bytes raw;
    struct buf text;

    if (!json_string(r, &raw))
        return false;
    buf_init(&text, raw.len + 1); /* no escape is shorter than what it stands for */
    json_unescape(&text, raw, NULL);
    if (text.len && memchr(text.p, '\0', text.len)) {
        buf_release(&text);
        return false;
    }
    buf_cstr(&text);
    *at = text.p;
    return true;
}

static bool decode_name(struct json_reader *r, char **at)
{
    return decode_text(r, at) && (*at)[0];
}

static bool decode_count(struct json_reader *r, int64_t *at)
{
    return json_int64(r, at) && *at >= 0;
}

static bool decode_type(struct json_reader *r, enum table_signal_type *at)
{
    struct bytes raw;

    if (!json_string(r, &raw))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (json_raw_is(raw, bytes_of(type_names[i]))) {
            *at = (enum table_signal_type)i;
            return true;
        }
    }
    return false;
}

static bool decode_keys(struct json_reader *r, struct table_signal *s)
{
    struct bytes key;

    if (!json_array_begin(r))
        return false;
    s->keys = xcalloc(TABLE_SIGNAL_KEYS_AT_MOST, sizeof(*s->keys));
    while (json_array_next(r)) {
        if (s->key_count == TABLE_SIGNAL_KEYS_AT_MOST || json_peek(r) != JSON_OBJECT ||
            !json_skip(r, &key))
            return false;
        s->keys[s->key_count++] = bytes_dup(key);
    }
    return !json_failed(r) && s->key_count > 0;
}

static bool decode_member(struct json_reader *r, enum member member, struct table_signal *s)
{
    switch (member) {
    case MEMBER_ID:
        return decode_name(r, &s->id);
    case MEMBER_TYPE:
        return decode_type(r, &s->type);
    case MEMBER_TABLE:
        return decode_name(r, &s->table);
    case MEMBER_SENDER:
        return decode_name(r, &s->sender);
    case MEMBER_TS_MS:
        return decode_count(r, &s->ts_ms);
    case MEMBER_REASON:
        return decode_text(r, &s->reason);
    case MEMBER_GENERATION:
        return decode_count(r, &s->generation);
    case MEMBER_KEYS:
        return decode_keys(r, s);
    case MEMBER_COUNT:
        break;
    }
    return json_skip(r, NULL);
}

static enum member member_of(struct bytes name)
{
    enum member member = 0;

    while (member < MEMBER_COUNT && !json_raw_is(name, bytes_of(member_names[member])))
        member++;
    return member;
}

#define BIT(member) (1U << (member))

/* What must be there, and what belongs to one type alone. */
static int check_members(const struct table_signal *s, unsigned seen, struct error *err)
{
    unsigned must = BIT(MEMBER_ID) | BIT(MEMBER_TYPE) | BIT(MEMBER_TABLE) | BIT(MEMBER_SENDER) |
                    BIT(MEMBER_TS_MS);
    unsigned may;

    if (s->type == TABLE_SIGNAL_SNAPSHOT)
        must |= BIT(MEMBER_GENERATION);
    if (s->type == TABLE_SIGNAL_REPAIR)
        must |= BIT(MEMBER_KEYS);
    may = must | BIT(MEMBER_REASON);
    for (enum member m = 0; m < MEMBER_COUNT; m++) {
        if (must & ~seen & BIT(m))
            return error_set(err, ERR_DATA, "no \"%s\"", member_names[m]);
        if (seen & ~may & BIT(m))
            return error_set(err, ERR_DATA, "a \"%s\" in a request to %s", member_names[m],
                             type_names[s->type]);
    }
    return 0;
}

static int decode_into(struct table_signal *s, struct bytes message, struct error *err)
{
    struct json_reader r;
    unsigned seen = 0;
    struct bytes name;

    json_reader_init(&r, message);
    json_object_begin(&r);
    while (json_object_next(&r, &name)) {
        enum member m = member_of(name);

        if (m < MEMBER_COUNT && (seen & BIT(m)))
            return error_set(err, ERR_DATA, "two members \"%s\"", member_names[m]);
        if (!decode_member(&r, m, s))
            return json_failed(&r) ? json_reader_error(&r, err)
                                   : error_set(err, ERR_DATA, "bad \"%s\"", member_names[m]);
        if (m < MEMBER_COUNT)
            seen |= BIT(m);
    }
    return json_end(&r) ? check_members(s, seen, err) : json_reader_error(&r, err);
}

int table_signal_decode(struct table_signal *ret, struct bytes message, struct error *err)
{
    AUTO(table_signal_release) struct table_signal s = {0};

    if (message.len > TABLE_SIGNAL_BYTES_AT_MOST)
        return error_set(err, ERR_DATA, "signal: longer than %zu bytes",
                         TABLE_SIGNAL_BYTES_AT_MOST);
    if (decode_into(&s, message, err) < 0)
        return error_prefix(err, "signal");
    *ret = s;
    s = (struct table_signal){0};
    return 0;
}

#include "consumer/convert_value.h"

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/item/ddb_number.h"
#include "common/json/json_text.h"

#define MAX_DEPTH 100  /* what MongoDB takes; DynamoDB's 32 levels are 66 in raw */
#define SHOWN_BYTES 64 /* of a name or a text in a message */

struct bytes value_shown(struct bytes raw)
{
    return (struct bytes){raw.p, text_cut(raw, SHOWN_BYTES)};
}

static int refuse(struct conversion *v, const char *what)
{
    return error_set(v->err, ERR_DATA, "%s", what);
}

static int reader_failed(struct conversion *v)
{
    return json_reader_error(&v->r, v->err);
}

static bool has_escape(struct bytes raw)
{
    return raw.len && memchr(raw.p, '\\', raw.len);
}

/* Appends the text of a raw string. */
static int append_text(struct conversion *v, struct bytes raw)
{
    bool lone = false;

    json_unescape(v->out, raw, &lone);
    return lone ? refuse(v, "half of a surrogate pair, which is no UTF-8") : 0;
}

int value_name(struct conversion *v, struct bytes raw, size_t *ret)
{
    size_t at;

    if (!has_escape(raw)) {
        *ret = bson_out_element(v->out, 0, raw);
        return 0;
    }
    at = v->out->len;
    buf_char(v->out, 0);
    if (append_text(v, raw) < 0)
        return -1;
    if (!v->out->overflow && memchr(v->out->p + at + 1, 0, v->out->len - at - 1))
        return refuse(v, "a name with a NUL, which BSON can't hold");
    buf_char(v->out, 0);
    *ret = at;
    return 0;
}

int value_begin(struct conversion *v, size_t type_at, bson_type_t type, size_t *begin)
{
    if (v->depth >= MAX_DEPTH)
        return refuse(v, "nested deeper than MongoDB takes");
    v->depth++;
    bson_out_set_type(v->out, type_at, type);
    *begin = bson_out_begin(v->out);
    return 0;
}

void value_end(struct conversion *v, size_t begin)
{
    v->depth--;
    bson_out_end(v->out, begin);
}

static bool short_type(char name, enum ddb_type *ret)
{
    switch (name) {
    case 'S':
        *ret = DDB_S;
        return true;
    case 'N':
        *ret = DDB_N;
        return true;
    case 'B':
        *ret = DDB_B;
        return true;
    case 'L':
        *ret = DDB_L;
        return true;
    case 'M':
        *ret = DDB_M;
        return true;
    }
    return false;
}

static bool type_of(struct bytes name, enum ddb_type *ret)
{
    static const struct {
        struct bytes name;
        enum ddb_type type;
    } types[] = {{BYTES_LIT("BOOL"), DDB_BOOL},
                 {BYTES_LIT("NULL"), DDB_NULL},
                 {BYTES_LIT("SS"), DDB_SS},
                 {BYTES_LIT("NS"), DDB_NS},
                 {BYTES_LIT("BS"), DDB_BS}};

    if (name.len == 1)
        return short_type(name.p[0], ret);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (bytes_equal(name, types[i].name)) {
            *ret = types[i].type;
            return true;
        }
    return false;
}

/* {"S": without spaces, as the service writes it: the reader is moved by hand, to where
 * json_object_begin and json_object_next would leave it. Half of an item's tokens are such
 * wrappers. */
static bool open_quickly(struct json_reader *r, enum ddb_type *ret)
{
    const char *p = r->p;

    if (r->end - p < 5 || p[0] != '{' || p[1] != '"' || p[3] != '"' || p[4] != ':' ||
        r->depth == JSON_MAX_DEPTH || !short_type(p[2], ret))
        return false;
    r->p += 5;
    r->depth++;
    r->first = false;
    return true;
}

static int open_slowly(struct conversion *v, enum ddb_type *ret)
{
    struct bytes name;

    if (!json_object_begin(&v->r))
        return reader_failed(v);
    if (!json_object_next(&v->r, &name)) {
        *ret = DDB_EMPTY;
        return json_failed(&v->r) ? reader_failed(v) : 0;
    }
    if (type_of(name, ret))
        return 0;
    name = value_shown(name);
    return error_set(v->err, ERR_DATA, "unknown type \"" BYTES_FMT "\"", BYTES_ARG(name));
}

int value_open(struct conversion *v, enum ddb_type *ret)
{
    return open_quickly(&v->r, ret) ? 0 : open_slowly(v, ret);
}

int value_close(struct conversion *v)
{
    struct json_reader *r = &v->r;
    struct bytes name;

    if (r->p < r->end && *r->p == '}') { /* as json_object_next does it */
        r->p++;
        r->depth--;
        r->first = false;
        return 0;
    }
    if (json_object_next(r, &name))
        return refuse(v, "a value of two types");
    return json_failed(r) ? reader_failed(v) : 0;
}

int value_string(struct conversion *v, size_t type_at)
{
    struct bytes raw;
    size_t begin = 0;

    if (!json_string(&v->r, &raw))
        return reader_failed(v);
    bson_out_set_type(v->out, type_at, BSON_TYPE_UTF8);
    if (!has_escape(raw)) {
        bson_out_string_value(v->out, raw);
        return 0;
    }
    begin = bson_out_string_begin(v->out);
    if (append_text(v, raw) < 0)
        return -1;
    bson_out_string_end(v->out, begin);
    return 0;
}

/* No service escapes base64, but JSON's writers may write its slash as \/. */
static int base64_escaped(struct conversion *v, struct bytes raw)
{
    AUTO(buf_release) struct buf text;

    buf_init(&text, raw.len);
    json_unescape(&text, raw, NULL);
    return base64_decode(v->out, buf_slice(&text), v->err);
}

int value_binary(struct conversion *v, size_t type_at)
{
    struct bytes raw;
    size_t begin = 0;

    if (!json_string(&v->r, &raw))
        return reader_failed(v);
    bson_out_set_type(v->out, type_at, BSON_TYPE_BINARY);
    begin = bson_out_binary_begin(v->out);
    if (has_escape(raw) ? base64_escaped(v, raw) < 0 : base64_decode(v->out, raw, v->err) < 0)
        return -1;
    bson_out_binary_end(v->out, begin);
    return 0;
}

int value_bool(struct conversion *v, size_t type_at)
{
    bool b;

    if (!json_bool(&v->r, &b))
        return reader_failed(v);
    bson_out_set_type(v->out, type_at, BSON_TYPE_BOOL);
    buf_char(v->out, b);
    return 0;
}

int value_true(struct conversion *v)
{
    bool b;

    if (!json_bool(&v->r, &b))
        return reader_failed(v);
    return b ? 0 : refuse(v, "NULL can only be true");
}

int value_empty(struct conversion *v, size_t type_at)
{
    size_t begin = 0;

    if (value_begin(v, type_at, BSON_TYPE_DOCUMENT, &begin) < 0)
        return -1;
    value_end(v, begin);
    return 0;
}

int value_list(struct conversion *v, size_t type_at, value_fn *element)
{
    struct bson_out_index index = BSON_OUT_INDEX_INIT;
    size_t begin = 0;

    if (!json_array_begin(&v->r))
        return reader_failed(v);
    if (value_begin(v, type_at, BSON_TYPE_ARRAY, &begin) < 0)
        return -1;
    while (json_array_next(&v->r)) {
        size_t at = bson_out_element(v->out, 0, bson_out_index_name(&index));

        if (element(v, at) < 0)
            return -1;
    }
    value_end(v, begin);
    return json_failed(&v->r) ? reader_failed(v) : 0;
}

int value_map(struct conversion *v, size_t type_at, value_fn *element)
{
    struct bytes name;
    size_t begin, at;

    if (!json_object_begin(&v->r))
        return reader_failed(v);
    if (value_begin(v, type_at, BSON_TYPE_DOCUMENT, &begin) < 0)
        return -1;
    while (json_object_next(&v->r, &name))
        if (value_name(v, name, &at) < 0 || element(v, at) < 0)
            return -1;
    value_end(v, begin);
    return json_failed(&v->r) ? reader_failed(v) : 0;
}

int value_number_text(struct conversion *v, struct bytes *ret, struct number_room *room)
{
    struct buf text = {.p = room->p, .cap = sizeof(room->p), .ceiling = sizeof(room->p)};

    if (!json_string(&v->r, ret))
        return reader_failed(v);
    if (!has_escape(*ret))
        return 0;
    json_unescape(&text, *ret, NULL); /* never grows: its ceiling is its size */
    if (text.overflow)
        return value_no_number(v, *ret);
    *ret = buf_slice(&text);
    return 0;
}

int value_number_canonical(struct conversion *v, size_t type_at, struct bytes text)
{
    size_t begin;

    bson_out_set_type(v->out, type_at, BSON_TYPE_UTF8);
    begin = bson_out_string_begin(v->out);
    if (ddb_number_canonical(v->out, text, v->err) < 0)
        return -1;
    bson_out_string_end(v->out, begin);
    return 0;
}

int value_no_number(struct conversion *v, struct bytes text)
{
    text = value_shown(text);
    return error_set(v->err, ERR_DATA, "\"" BYTES_FMT "\" is no number of DynamoDB",
                     BYTES_ARG(text));
}

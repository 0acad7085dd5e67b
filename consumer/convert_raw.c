/* The rules of `raw`: a value stays wrapped in its type, at every level, and numbers stay text.
 *
 * A number's text is the message's, so that a reader sees what DynamoDB sent; a key's is
 * canonical, since filters and the unique index compare it as text. */
#include "common/item/ddb_number.h"
#include "consumer/convert_value.h"
#include "consumer/number.h"

static int raw_key_number(struct conversion *v, struct bytes text)
{
    size_t begin = bson_out_string_begin(v->out);

    if (ddb_number_canonical(v->out, text, v->err) < 0)
        return -1;
    bson_out_string_end(v->out, begin);
    return 0;
}

static int raw_number(struct conversion *v, size_t type_at)
{
    struct number_room room;
    struct bytes text;

    if (value_number_text(v, &text, &room) < 0)
        return -1;
    bson_out_set_type(v->out, type_at, BSON_OUT_STRING);
    if (v->key)
        return raw_key_number(v, text);
    if (!number_valid(text))
        return value_no_number(v, text);
    bson_out_string_value(v->out, text);
    return 0;
}

static int raw_null(struct conversion *v, size_t type_at)
{
    bson_out_set_type(v->out, type_at, BSON_OUT_BOOL);
    buf_char(v->out, true);
    return value_true(v);
}

static int raw_content(struct conversion *v, enum ddb_type type, size_t type_at)
{
    switch (type) {
    case DDB_S:
        return value_string(v, type_at);
    case DDB_N:
        return raw_number(v, type_at);
    case DDB_B:
        return value_binary(v, type_at);
    case DDB_BOOL:
        return value_bool(v, type_at);
    case DDB_NULL:
        return raw_null(v, type_at);
    case DDB_SS:
        return value_list(v, type_at, value_string);
    case DDB_NS:
        return value_list(v, type_at, raw_number);
    case DDB_BS:
        return value_list(v, type_at, value_binary);
    case DDB_L:
        return value_list(v, type_at, convert_raw_value);
    case DDB_M:
        return value_map(v, type_at, convert_raw_value);
    case DDB_EMPTY:
        break;
    }
    return value_empty(v, type_at);
}

static struct bytes type_name(enum ddb_type type)
{
    static const struct bytes names[] = {
        [DDB_S] = BYTES_LIT("S"),       [DDB_N] = BYTES_LIT("N"),
        [DDB_B] = BYTES_LIT("B"),       [DDB_BOOL] = BYTES_LIT("BOOL"),
        [DDB_NULL] = BYTES_LIT("NULL"), [DDB_SS] = BYTES_LIT("SS"),
        [DDB_NS] = BYTES_LIT("NS"),     [DDB_BS] = BYTES_LIT("BS"),
        [DDB_L] = BYTES_LIT("L"),       [DDB_M] = BYTES_LIT("M"),
        [DDB_EMPTY] = BYTES_LIT("M"),
    };

    return names[type];
}

int convert_raw_value(struct conversion *v, size_t type_at)
{
    enum ddb_type type;
    size_t begin, content_at;

    if (value_open(v, &type) < 0 || value_begin(v, type_at, BSON_OUT_DOCUMENT, &begin) < 0)
        return -1;
    content_at = bson_out_element(v->out, 0, type_name(type));
    if (raw_content(v, type, content_at) < 0)
        return -1;
    value_end(v, begin);
    return type == DDB_EMPTY ? 0 : value_close(v);
}

int convert_raw_content(struct conversion *v, size_t type_at)
{
    enum ddb_type type;

    if (value_open(v, &type) < 0 || raw_content(v, type, type_at) < 0)
        return -1;
    return type == DDB_EMPTY ? 0 : value_close(v);
}

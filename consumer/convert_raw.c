#include "consumer/convert_raw.h"

#include "consumer/number.h"

static int raw_number(struct conversion *v, size_t type_at)
{
    struct number_room room;
    struct bytes text;

    if (value_number_text(v, &text, &room) < 0)
        return -1;
    if (v->key)
        return value_number_canonical(v, type_at, text);
    if (!number_valid(text))
        return value_no_number(v, text);
    bson_out_set_type(v->out, type_at, BSON_TYPE_UTF8);
    bson_out_string_value(v->out, text);
    return 0;
}

static int raw_null(struct conversion *v, size_t type_at)
{
    bson_out_set_type(v->out, type_at, BSON_TYPE_BOOL);
    buf_char(v->out, true);
    return value_true(v);
}

static const struct value_rules rules = {raw_number, raw_null, convert_raw_value};

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

    if (value_open(v, &type) < 0 || value_begin(v, type_at, BSON_TYPE_DOCUMENT, &begin) < 0)
        return -1;
    content_at = bson_out_element(v->out, 0, type_name(type));
    if (value_content(v, type, content_at, &rules) < 0)
        return -1;
    value_end(v, begin);
    return type == DDB_EMPTY ? 0 : value_close(v);
}

int convert_raw_content(struct conversion *v, size_t type_at)
{
    enum ddb_type type;

    if (value_open(v, &type) < 0 || value_content(v, type, type_at, &rules) < 0)
        return -1;
    return type == DDB_EMPTY ? 0 : value_close(v);
}

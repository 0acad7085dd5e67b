/* The rules of `change`: a value becomes the BSON value that means the same.
 *
 * A number is exact by the narrowest type (number.h), or a double where that is wanted and the
 * number is no key. */
#include "common/base/mutation.h"
#include "common/item/ddb_number.h"
#include "consumer/convert_value.h"
#include "consumer/number.h"

static int number_as_double(struct conversion *v, size_t type_at, struct bytes text)
{
    double d;

    if (!number_double(&d, text))
        return value_no_number(v, text);
    bson_out_set_type(v->out, type_at, BSON_OUT_DOUBLE);
    bson_out_double_value(v->out, d);
    return 0;
}

/* More digits than any BSON number has. */
static int number_as_text(struct conversion *v, size_t type_at, struct bytes text)
{
    size_t begin;

    bson_out_set_type(v->out, type_at, BSON_OUT_STRING);
    begin = bson_out_string_begin(v->out);
    if (ddb_number_canonical(v->out, text, v->err) < 0)
        return -1;
    bson_out_string_end(v->out, begin);
    return 0;
}

static int number_as_exact(struct conversion *v, size_t type_at, struct bytes text)
{
    struct number n;

    if (!number_exact(&n, text))
        return value_no_number(v, text);
    switch (n.type) {
    case NUMBER_INT32:
        bson_out_set_type(v->out, type_at, BSON_OUT_INT32);
        bson_out_int32_value(v->out, (int32_t)n.integer);
        return 0;
    case NUMBER_INT64:
        bson_out_set_type(v->out, type_at, BSON_OUT_INT64);
        bson_out_int64_value(v->out, n.integer);
        return 0;
    case NUMBER_DECIMAL128:
        bson_out_set_type(v->out, type_at, BSON_OUT_DECIMAL128);
        bson_out_decimal128_value(v->out, n.decimal);
        return 0;
    case NUMBER_TEXT:
        break;
    }
    return number_as_text(v, type_at, text);
}

static int change_number(struct conversion *v, size_t type_at)
{
    struct number_room room;
    struct bytes text;

    if (value_number_text(v, &text, &room) < 0)
        return -1;
    if (v->c->number == CONVERT_DOUBLE && !v->key)
        return number_as_double(v, type_at, text);
    return number_as_exact(v, type_at, text);
}

static int change_null(struct conversion *v, size_t type_at)
{
    if (value_true(v) < 0)
        return -1;
    bson_out_set_type(v->out, type_at, BSON_OUT_NULL);
    if (MUTATED(conversion)) {
        bson_out_set_type(v->out, type_at, BSON_OUT_BOOL);
        buf_char(v->out, true);
    }
    return 0;
}

static int change_content(struct conversion *v, enum ddb_type type, size_t type_at)
{
    switch (type) {
    case DDB_S:
        return value_string(v, type_at);
    case DDB_N:
        return change_number(v, type_at);
    case DDB_B:
        return value_binary(v, type_at);
    case DDB_BOOL:
        return value_bool(v, type_at);
    case DDB_NULL:
        return change_null(v, type_at);
    case DDB_SS:
        return value_list(v, type_at, value_string);
    case DDB_NS:
        return value_list(v, type_at, change_number);
    case DDB_BS:
        return value_list(v, type_at, value_binary);
    case DDB_L:
        return value_list(v, type_at, convert_change_value);
    case DDB_M:
        return value_map(v, type_at, convert_change_value);
    case DDB_EMPTY:
        break;
    }
    return value_empty(v, type_at);
}

int convert_change_value(struct conversion *v, size_t type_at)
{
    enum ddb_type type;

    if (value_open(v, &type) < 0 || change_content(v, type, type_at) < 0)
        return -1;
    return type == DDB_EMPTY ? 0 : value_close(v);
}

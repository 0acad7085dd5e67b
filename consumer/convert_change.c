#include "consumer/convert_change.h"

#include "common/base/mutation.h"
#include "consumer/number.h"

static int number_as_double(struct conversion *v, size_t type_at, struct bytes text)
{
    double d;

    if (!number_double(&d, text))
        return value_no_number(v, text);
    bson_out_set_type(v->out, type_at, BSON_TYPE_DOUBLE);
    bson_out_double_value(v->out, d);
    return 0;
}

static int number_as_exact(struct conversion *v, size_t type_at, struct bytes text)
{
    struct number n;

    if (!number_exact(&n, text))
        return value_no_number(v, text);
    switch (n.type) {
    case NUMBER_INT32:
        bson_out_set_type(v->out, type_at, BSON_TYPE_INT32);
        bson_out_int32_value(v->out, (int32_t)n.integer);
        return 0;
    case NUMBER_INT64:
        bson_out_set_type(v->out, type_at, BSON_TYPE_INT64);
        bson_out_int64_value(v->out, n.integer);
        return 0;
    case NUMBER_DECIMAL128:
        bson_out_set_type(v->out, type_at, BSON_TYPE_DECIMAL128);
        bson_out_decimal128_value(v->out, n.decimal);
        return 0;
    case NUMBER_TEXT:
        break;
    }
    return value_number_canonical(v, type_at, text);
}

static int change_number(struct conversion *v, size_t type_at)
{
    struct number_room room;
    struct bytes text;

    if (value_number_text(v, &text, &room) < 0)
        return -1;
    if (v->converter->number == CONVERT_DOUBLE && !v->key)
        return number_as_double(v, type_at, text);
    return number_as_exact(v, type_at, text);
}

static int change_null(struct conversion *v, size_t type_at)
{
    if (value_true(v) < 0)
        return -1;
    bson_out_set_type(v->out, type_at, BSON_TYPE_NULL);
    if (MUTATED(conversion)) {
        bson_out_set_type(v->out, type_at, BSON_TYPE_BOOL);
        buf_char(v->out, true);
    }
    return 0;
}

static const struct value_rules rules = {change_number, change_null, convert_change_value};

int convert_change_value(struct conversion *v, size_t type_at)
{
    enum ddb_type type;

    if (value_open(v, &type) < 0 || value_content(v, type, type_at, &rules) < 0)
        return -1;
    return type == DDB_EMPTY ? 0 : value_close(v);
}

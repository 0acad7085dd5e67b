/* Little-endian machines only, as BSON is: a number is copied as it lies in memory. */
#include "consumer/bson_out.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "BSON is little-endian");

struct bytes bson_out_index_name(struct bson_out_index *index)
{
    int i = (int)sizeof(index->digits) - 1;

    if (index->first > i) {
        index->first = (uint8_t)i;
        index->digits[i] = '0';
        return (struct bytes){index->digits + i, 1};
    }
    for (; i >= index->first && index->digits[i] == '9'; i--)
        index->digits[i] = '0';
    if (i < index->first) {
        index->first = (uint8_t)i;
        index->digits[i] = '0';
    }
    index->digits[i]++;
    return (struct bytes){index->digits + index->first, sizeof(index->digits) - index->first};
}

void bson_out_double_value(struct buf *out, double d)
{
    buf_append(out, &d, sizeof(d));
}

void bson_out_decimal128_value(struct buf *out, bson_decimal128_t d)
{
    buf_append(out, &d.low, sizeof(d.low));
    buf_append(out, &d.high, sizeof(d.high));
}

size_t bson_out_string_begin(struct buf *out)
{
    return bson_out_begin(out);
}

void bson_out_string_end(struct buf *out, size_t begin)
{
    buf_char(out, 0);
    bson_out_patch(out, begin, out->len - begin - 4);
}

size_t bson_out_binary_begin(struct buf *out)
{
    size_t at = bson_out_begin(out);

    buf_char(out, 0);
    return at;
}

void bson_out_binary_end(struct buf *out, size_t begin)
{
    bson_out_patch(out, begin, out->len - begin - 5);
}

size_t bson_out_document(struct buf *out, struct bytes name)
{
    bson_out_element(out, BSON_TYPE_DOCUMENT, name);
    return bson_out_begin(out);
}

size_t bson_out_array(struct buf *out, struct bytes name)
{
    bson_out_element(out, BSON_TYPE_ARRAY, name);
    return bson_out_begin(out);
}

void bson_out_string(struct buf *out, struct bytes name, struct bytes s)
{
    bson_out_element(out, BSON_TYPE_UTF8, name);
    bson_out_string_value(out, s);
}

void bson_out_bool(struct buf *out, struct bytes name, bool b)
{
    bson_out_element(out, BSON_TYPE_BOOL, name);
    buf_char(out, b);
}

void bson_out_int32(struct buf *out, struct bytes name, int32_t n)
{
    bson_out_element(out, BSON_TYPE_INT32, name);
    bson_out_int32_value(out, n);
}

void bson_out_int64(struct buf *out, struct bytes name, int64_t n)
{
    bson_out_element(out, BSON_TYPE_INT64, name);
    bson_out_int64_value(out, n);
}

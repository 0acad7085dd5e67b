/* Little-endian machines only, as BSON is: a number is copied as it lies in memory. */
#include "consumer/bson_out.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "BSON is little-endian");

struct bytes bson_index_name(struct bson_index *index)
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

size_t bson_out_begin(struct buf *out)
{
    size_t at = out->len;

    if (buf_reserve(out, 4))
        out->len += 4;
    return at;
}

/* After an overflow nothing says that the bytes at `at` were ever appended. */
static void patch_length(struct buf *out, size_t at, size_t length)
{
    uint32_t n = (uint32_t)length;

    if (!out->overflow)
        memcpy(out->p + at, &n, 4);
}

void bson_out_end(struct buf *out, size_t begin)
{
    buf_char(out, 0);
    patch_length(out, begin, out->len - begin);
}

size_t bson_out_element(struct buf *out, enum bson_out_type type, struct bytes name)
{
    size_t at = out->len;
    char *p;

    if (!buf_reserve(out, name.len + 2))
        return at;
    p = out->p + at;
    *p++ = (char)type;
    if (name.len)
        memcpy(p, name.p, name.len);
    p[name.len] = 0;
    out->len += name.len + 2;
    return at;
}

void bson_out_set_type(struct buf *out, size_t at, enum bson_out_type type)
{
    if (!out->overflow)
        out->p[at] = (char)type;
}

void bson_out_string_value(struct buf *out, struct bytes s)
{
    uint32_t n = (uint32_t)s.len + 1;
    char *p;

    if (!buf_reserve(out, s.len + 5))
        return;
    p = out->p + out->len;
    memcpy(p, &n, 4);
    if (s.len)
        memcpy(p + 4, s.p, s.len);
    p[4 + s.len] = 0;
    out->len += s.len + 5;
}

void bson_out_int32_value(struct buf *out, int32_t n)
{
    buf_append(out, &n, sizeof(n));
}

void bson_out_int64_value(struct buf *out, int64_t n)
{
    buf_append(out, &n, sizeof(n));
}

void bson_out_double_value(struct buf *out, double d)
{
    buf_append(out, &d, sizeof(d));
}

void bson_out_decimal128_value(struct buf *out, struct bson_decimal128 d)
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
    patch_length(out, begin, out->len - begin - 4);
}

size_t bson_out_binary_begin(struct buf *out)
{
    size_t at = bson_out_begin(out);

    buf_char(out, 0);
    return at;
}

void bson_out_binary_end(struct buf *out, size_t begin)
{
    patch_length(out, begin, out->len - begin - 5);
}

size_t bson_out_document(struct buf *out, struct bytes name)
{
    bson_out_element(out, BSON_OUT_DOCUMENT, name);
    return bson_out_begin(out);
}

size_t bson_out_array(struct buf *out, struct bytes name)
{
    bson_out_element(out, BSON_OUT_ARRAY, name);
    return bson_out_begin(out);
}

void bson_out_string(struct buf *out, struct bytes name, struct bytes s)
{
    bson_out_element(out, BSON_OUT_STRING, name);
    bson_out_string_value(out, s);
}

void bson_out_binary(struct buf *out, struct bytes name, struct bytes data)
{
    size_t at;

    bson_out_element(out, BSON_OUT_BINARY, name);
    at = bson_out_binary_begin(out);
    buf_bytes(out, data);
    bson_out_binary_end(out, at);
}

void bson_out_bool(struct buf *out, struct bytes name, bool b)
{
    bson_out_element(out, BSON_OUT_BOOL, name);
    buf_char(out, b);
}

void bson_out_null(struct buf *out, struct bytes name)
{
    bson_out_element(out, BSON_OUT_NULL, name);
}

void bson_out_int32(struct buf *out, struct bytes name, int32_t n)
{
    bson_out_element(out, BSON_OUT_INT32, name);
    bson_out_int32_value(out, n);
}

void bson_out_int64(struct buf *out, struct bytes name, int64_t n)
{
    bson_out_element(out, BSON_OUT_INT64, name);
    bson_out_int64_value(out, n);
}

void bson_out_date(struct buf *out, struct bytes name, int64_t ms)
{
    bson_out_element(out, BSON_OUT_DATE, name);
    bson_out_int64_value(out, ms);
}

void bson_out_object_id(struct buf *out, struct bytes name, const uint8_t id[12])
{
    bson_out_element(out, BSON_OUT_OBJECT_ID, name);
    buf_append(out, id, 12);
}

void bson_out_embed(struct buf *out, struct bytes name, struct bytes document)
{
    bson_out_element(out, BSON_OUT_DOCUMENT, name);
    buf_bytes(out, document);
}

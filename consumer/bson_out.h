/* consumer/bson_out.h - writes BSON into a struct buf, front to back, lengths patched at the
 * end.
 *
 * For documents (convert) and for commands (mongo_writer). Nothing is allocated but by the
 * buffer itself. Past the buffer's ceiling nothing is patched and `overflow` stays set: look at
 * it once, at the end. Names must hold no NUL: who takes a name from outside checks it. Pure;
 * any thread.
 *
 *     size_t doc = bson_out_begin(out);
 *     bson_out_int32(out, BYTES_LIT("n"), 1);
 *     size_t list = bson_out_array(out, BYTES_LIT("list"));
 *     bson_out_string(out, bson_out_index_name(&index), BYTES_LIT("x"));
 *     bson_out_end(out, list);
 *     bson_out_end(out, doc); */
#pragma once

#include <bson/bson.h>

#include "common/base/bytes.h"

/* The names "0", "1", ... of an array's elements, counted up in text. Start with
 * BSON_OUT_INDEX_INIT. */
struct bson_out_index {
    char digits[12]; /* right aligned */
    uint8_t first;   /* of digits; 12: not begun */
};
#define BSON_OUT_INDEX_INIT ((struct bson_out_index){.first = 12})
/* The next index; valid until the next call. */
struct bytes bson_out_index_name(struct bson_out_index *index);

/* A document or an array by itself: the answer is for bson_out_end. */
static inline size_t bson_out_begin(struct buf *out)
{
    size_t at = out->len;

    if (buf_reserve(out, 4))
        out->len += 4;
    return at;
}

/* After an overflow nothing says that the bytes at `at` were ever appended. */
static inline void bson_out_patch(struct buf *out, size_t at, size_t length)
{
    uint32_t n = (uint32_t)length;

    if (!out->overflow)
        memcpy(out->p + at, &n, 4);
}

static inline void bson_out_end(struct buf *out, size_t begin)
{
    buf_char(out, 0);
    bson_out_patch(out, begin, out->len - begin);
}

/* Type and name of an element; the value comes next. Returns where the type stands, for
 * bson_out_set_type when it is not known before the value. */
static inline size_t bson_out_element(struct buf *out, bson_type_t type, struct bytes name)
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

static inline void bson_out_set_type(struct buf *out, size_t at, bson_type_t type)
{
    if (!out->overflow)
        out->p[at] = (char)type;
}

/* Values alone, after bson_out_element. */
static inline void bson_out_string_value(struct buf *out, struct bytes s)
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

static inline void bson_out_int32_value(struct buf *out, int32_t n)
{
    buf_append(out, &n, sizeof(n));
}

static inline void bson_out_int64_value(struct buf *out, int64_t n)
{
    buf_append(out, &n, sizeof(n));
}

void bson_out_double_value(struct buf *out, double d);
void bson_out_decimal128_value(struct buf *out, bson_decimal128_t d);

/* A string or binary whose bytes are appended between begin and end. */
size_t bson_out_string_begin(struct buf *out);
void bson_out_string_end(struct buf *out, size_t begin);
/* Subtype 0. */
size_t bson_out_binary_begin(struct buf *out);
void bson_out_binary_end(struct buf *out, size_t begin);

/* Begins an element that is a container, to be ended. */
size_t bson_out_document(struct buf *out, struct bytes name);
size_t bson_out_array(struct buf *out, struct bytes name);
/* Whole elements. */
void bson_out_string(struct buf *out, struct bytes name, struct bytes s);
void bson_out_bool(struct buf *out, struct bytes name, bool b);
void bson_out_int32(struct buf *out, struct bytes name, int32_t n);
void bson_out_int64(struct buf *out, struct bytes name, int64_t n);

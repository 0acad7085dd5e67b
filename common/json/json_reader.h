/* common/json/json_reader.h - a pull reader over a buffer of JSON: no tree, no allocation, one
 * pass.
 *
 * Values come as slices of the buffer, byte for byte. Strict RFC 8259 (UTF-8 checked: overlong
 * forms, surrogates and bytes past U+10FFFF are refused; escapes checked; a lone surrogate
 * escape is legal JSON and passes), depth is bounded. The first error stays; every later call
 * fails, so a caller may look once at the end. Of one thread; the buffer must outlive the
 * slices. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"
#include "common/base/error.h"

enum json_type {
    JSON_FAILED, /* see json_reader_error */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
};

#define JSON_MAX_DEPTH 128

/* jansson exports functions of these two names. To the linker ours have others, or a program
 * that uses both would call one where it means the other. */
#define JSON_READER_SYMBOL(name) __asm__(name)

struct json_reader {
    const char *p; /* the next byte to read */
    const char *end;
    const char *begin;
    const char *failed; /* NULL, or a constant text saying what is wrong at p */
    unsigned depth;
    bool first; /* no element of the innermost container was read yet */
};

void json_reader_init(struct json_reader *r, struct bytes text);

/* The type of the value ahead; nothing but white space is consumed. */
enum json_type json_peek(struct json_reader *r);

/* Containers. begin consumes '{' or '['. next: true = *name (raw: the bytes between the quotes,
 * still escaped) was read and the value is ahead; false = the end was consumed, or failed. */
bool json_object_begin(struct json_reader *r);
bool json_object_next(struct json_reader *r, struct bytes *name);
/* The next name and json_skip of its value at once, which is faster than the two by themselves.
 */
bool json_object_next_skip(struct json_reader *r, struct bytes *name, struct bytes *value);
bool json_array_begin(struct json_reader *r);
bool json_array_next(struct json_reader *r);

/* Scalars and whole values. A wrong type is a failure. */
bool json_string(struct json_reader *r, struct bytes *raw) /* between the quotes, as it is */
    JSON_READER_SYMBOL("json_reader_string");
bool json_number(struct json_reader *r, struct bytes *text);
/* An integer that fits. */
bool json_int64(struct json_reader *r, int64_t *value);
bool json_bool(struct json_reader *r, bool *value);
bool json_null(struct json_reader *r) JSON_READER_SYMBOL("json_reader_null");
/* Any value, checked; slice may be NULL. */
bool json_skip(struct json_reader *r, struct bytes *slice);

/* Nothing but white space follows. Also false when failed before. */
bool json_end(struct json_reader *r);

bool json_failed(const struct json_reader *r);
/* ERR_DATA with what and at which byte. Returns -1. */
int json_reader_error(const struct json_reader *r, struct error *err);

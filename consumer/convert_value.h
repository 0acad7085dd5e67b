/* consumer/convert_value.h - what raw and change have in common: one attribute value, from the
 * reader into the buffer.
 *
 * The type byte of an element stands before its name, and the type is known only after both,
 * so each function gets the byte's place and sets it. Each returns 0, or
 * -1 with ERR_DATA; what was appended until then is cut off by convert.c. */
#pragma once

#include "common/json/json_reader.h"
#include "consumer/bson_out.h"
#include "consumer/converter.h"

struct conversion {
    struct buf *out;
    struct json_reader r;
    const struct converter *converter;
    bool key; /* a key attribute: N in canonical spelling (raw), never a double (change) */
    unsigned depth; /* of the BSON container that is being written */
    struct error *err;
};

typedef int value_fn(struct conversion *v, size_t type_at);

enum ddb_type {
    DDB_S,
    DDB_N,
    DDB_B,
    DDB_BOOL,
    DDB_NULL,
    DDB_SS,
    DDB_NS,
    DDB_BS,
    DDB_L,
    DDB_M,
    DDB_EMPTY, /* {}: an empty map, and already read to its end */
};

/* Around the content of an attribute value: {"S": ... }. */
int value_open(struct conversion *v, enum ddb_type *ret);
int value_close(struct conversion *v);

/* Contents. The list takes its elements' function. */
value_fn value_string;
value_fn value_binary;
value_fn value_bool;
/* Writes an empty document, reads nothing. */
value_fn value_empty;
/* Reads the true of NULL. */
int value_true(struct conversion *v);
int value_list(struct conversion *v, size_t type_at, value_fn *element);
int value_map(struct conversion *v, size_t type_at, value_fn *element);

/* What raw and change do each in its own way. */
struct value_rules {
    value_fn *number;
    value_fn *null;
    value_fn *nested; /* an element of L or M */
};

/* Here, so that the rules are constants and no call goes through a pointer. */
static inline int value_content(struct conversion *v, enum ddb_type type, size_t type_at,
                                const struct value_rules *rules)
{
    switch (type) {
    case DDB_S:
        return value_string(v, type_at);
    case DDB_N:
        return rules->number(v, type_at);
    case DDB_B:
        return value_binary(v, type_at);
    case DDB_BOOL:
        return value_bool(v, type_at);
    case DDB_NULL:
        return rules->null(v, type_at);
    case DDB_SS:
        return value_list(v, type_at, value_string);
    case DDB_NS:
        return value_list(v, type_at, rules->number);
    case DDB_BS:
        return value_list(v, type_at, value_binary);
    case DDB_L:
        return value_list(v, type_at, rules->nested);
    case DDB_M:
        return value_map(v, type_at, rules->nested);
    case DDB_EMPTY:
        break;
    }
    return value_empty(v, type_at);
}

/* The N text without escapes, in room when it has some. */
struct number_room {
    char p[256];
};
int value_number_text(struct conversion *v, struct bytes *ret, struct number_room *room);
/* Writes it as a string with all its digits. */
int value_number_canonical(struct conversion *v, size_t type_at, struct bytes text);
int value_no_number(struct conversion *v, struct bytes text);

/* Containers inside the document; begin refuses to go deeper than MongoDB takes. */
int value_begin(struct conversion *v, size_t type_at, bson_type_t type, size_t *begin);
void value_end(struct conversion *v, size_t begin);

/* An element's name, unescaped; *ret is where its type byte stands. */
int value_name(struct conversion *v, struct bytes raw, size_t *ret);

/* For messages: a name, cut at a character. */
struct bytes value_shown(struct bytes raw);

/* common/json/json_fields.h - JSON objects whose members are the fields of a struct.
 *
 * A table says once which members an object has and where each of them stands in the struct;
 * from it the struct is read, written, copied and released. What is read may have its members
 * in any order, but none twice; unknown ones are skipped, since a newer version may write more.
 * Pure.
 *
 *     static const struct json_field list[] = {
 *         JSON_FIELD("partition", struct ledger_place, partition, &json_fields_int32),
 *         JSON_FIELD("forget", struct ledger_place, forget, &json_fields_mark),
 *     };
 *     static const struct json_fields fields =
 *         JSON_FIELDS("a place", struct ledger_place, list);
 */
#pragma once

#include <stddef.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/error.h"
#include "common/json/json_reader.h"

/* What a field holds. `at` is the field's place in the struct. A function that has nothing to
 * do is NULL. */
struct json_kind {
    /* Reads the value ahead. -1: it is no such value; err says why, or the reader failed. */
    int (*read)(struct json_reader *r, void *at, struct error *err);
    void (*write)(struct buf *out, const void *at);
    bool (*is_left_out)(const void *at);     /* by the writer; NULL: never */
    void (*copy)(void *ret, const void *at); /* ret is the same byte for byte already */
    void (*release)(void *at);
    /* For an enum that begins at 0, in place of the functions: the names of its values. */
    const char *const *names;
    unsigned name_count;
};

extern const struct json_kind json_fields_text;         /* char *, never NULL; without NUL */
extern const struct json_kind json_fields_text_or_null; /* char *; NULL is null */
extern const struct json_kind json_fields_text_or_none; /* char *; NULL is left out */
extern const struct json_kind json_fields_int64;
extern const struct json_kind json_fields_count; /* int64_t from 0 */
extern const struct json_kind json_fields_count_or_none; /* the same; 0 is left out */
extern const struct json_kind json_fields_int32; /* int32_t from 0 */
extern const struct json_kind json_fields_bool;
extern const struct json_kind json_fields_mark;   /* bool; left out when false */
extern const struct json_kind json_fields_raw;    /* struct bytes: a string, still escaped */
extern const struct json_kind json_fields_value;  /* struct bytes: any value */
extern const struct json_kind json_fields_object; /* struct bytes: an object; empty is null */

struct json_field {
    struct bytes name;
    const struct json_kind *kind;
    size_t at;
    bool optional; /* what is read may lack it: it stays as it is in the struct */
};

#define JSON_FIELD(name, type, member, kind)                                                   \
    {                                                                                          \
        BYTES_LIT(name), kind, offsetof(type, member)                                          \
    }
#define JSON_OPTIONAL(name, type, member, kind)                                                \
    {                                                                                          \
        BYTES_LIT(name), kind, offsetof(type, member), true                                    \
    }

struct json_fields {
    const char *what; /* for errors: "source" */
    size_t size;      /* of the struct */
    const struct json_field *list;
    unsigned count; /* up to 64 */
};

#define JSON_FIELDS(what, type, list)                                                          \
    {                                                                                          \
        what, sizeof(type), list, ARRAY_LEN(list)                                              \
    }

/* Reads the object ahead into record. *ret_seen (NULL is fine): a bit for each field that was
 * there. ERR_DATA; what was read until then is in record. */
int json_fields_read(void *record, uint64_t *ret_seen, const struct json_fields *fields,
                     struct json_reader *r, struct error *err);
/* ERR_DATA, naming the first of these (a bit each) that was not seen. */
int json_fields_need(uint64_t needed, uint64_t seen, const struct json_fields *fields,
                     struct error *err);
/* Reads a text that is one object; record is touched only on success. */
int json_fields_decode(void *record, const struct json_fields *fields, struct bytes json,
                       struct error *err);
/* Appends the object, with its members in the table's order. The first is never left out. */
void json_fields_encode(struct buf *out, const void *record, const struct json_fields *fields);
void json_fields_copy(void *ret, const void *record, const struct json_fields *fields);
/* Frees what the fields own; all of record is zero afterwards. */
void json_fields_release(void *record, const struct json_fields *fields);

/* The reader of json_fields_object. */
int json_fields_read_object(struct json_reader *r, void *at, struct error *err);

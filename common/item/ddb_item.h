/* common/item/ddb_item.h - DynamoDB JSON: items found as slices, and keys in one canonical
 * spelling.
 *
 * Scan and Streams are two services whose answers may spell the same key differently (escapes,
 * number notation, attribute order); a second spelling would be a second Kafka partition, so
 * keys are made canonical: strings as JSON.stringify writes them, numbers as
 * BigDecimal.stripTrailingZeros().toPlainString(), padded base64, hash key before range key,
 * no spaces. Pure. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/json/json_reader.h"

struct key_attribute {
    char *name; /* NULL: there is none; WTF-8, may hold any byte but is zero terminated too */
    size_t name_len;
    char type; /* 'S', 'N' or 'B' */
};

struct key_schema {
    struct key_attribute hash;
    struct key_attribute range;
};

void key_schema_release(struct key_schema *s);
void key_schema_copy(struct key_schema *ret, const struct key_schema *s);
bool key_schema_equal(const struct key_schema *a, const struct key_schema *b);
/* [{"AttributeName":"pk","KeyType":"HASH","AttributeType":"S"},...]: the form in messages and
 * ledger. */
void key_schema_write(struct buf *out, const struct key_schema *s);
int key_schema_read(struct key_schema *ret, struct bytes json, struct error *err);

/* An item's (or a Keys object's) slices. */
struct ddb_item {
    struct bytes json;  /* the whole object */
    struct bytes hash;  /* the value of the hash key, {"S":"u1"}; empty: absent */
    struct bytes range; /* empty: absent */
};

/* Reads the object ahead in one pass. ERR_DATA when it is no object; absent keys are for the
 * caller. */
int ddb_item_read(struct ddb_item *ret, struct json_reader *r, const struct key_schema *schema,
                  struct error *err);

/* Appends {"pk":{"S":"u1"}} (message key) and the same with the range key (keys). Either may be
 * NULL. The item comes from ddb_item_read. On failure nothing was appended. ERR_DATA when a key
 * attribute is missing, of another type than the schema's, or no legal value. */
int ddb_item_keys(struct buf *message_key, struct buf *keys, const struct ddb_item *item,
                  const struct key_schema *schema, struct error *err);

/* The canonical spelling of a DynamoDB number; ERR_DATA for text that is none (or over 38
 * digits, or past 1E-130 .. 9.99E+125). The fast path sees that it is canonical already. */
int ddb_number_canonical(struct buf *out, struct bytes text, struct error *err);
/* Unsigned decimal strings (sequence numbers) compared as numbers: <0, 0, >0. */
int ddb_sequence_compare(struct bytes a, struct bytes b);

/* base64 with padding. decode is strict: no white space, no missing padding, unused bits zero,
 * so that bytes have one spelling; out NULL: only checked. On failure nothing was appended. */
void base64_encode(struct buf *out, struct bytes data);
int base64_decode(struct buf *out, struct bytes text, struct error *err);

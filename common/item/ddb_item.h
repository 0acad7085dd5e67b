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
#include "common/item/key_schema.h"
#include "common/json/json_reader.h"

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

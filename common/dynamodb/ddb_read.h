/* common/dynamodb/ddb_read.h - what the readers of the services' answers share.
 *
 * An answer comes whole (its length and sum were checked), so one that is not the JSON that it
 * should be is a lie of something on the way: it is asked for again (ERR_RETRY). Pure. */
#pragma once

#include "common/base/error.h"
#include "common/item/ddb_item.h"
#include "common/json/json_fields.h"

/* Reads an answer that is one object. On failure ERR_RETRY; what was read until then is in
 * record. */
int ddb_read_answer(void *record, const struct json_fields *fields, struct bytes answer,
                    struct error *err);
/* For kinds: an object into record; anything else is skipped. */
int ddb_read_nested(void *record, const struct json_fields *fields, struct json_reader *r,
                    struct error *err);
/* int64_t: a number of capacity units (128.5) in thousandths; what can be none is 0, anything
 * but a number is skipped. */
extern const struct json_kind ddb_read_units;
/* An empty text for NULL. */
void ddb_read_default(char **text);

/* Calls each() for every item of the list ahead. The number of them; -1: each() failed, or an
 * item is none. */
int ddb_read_each_item(struct json_reader *r, const struct key_schema *schema,
                       int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                       void *arg, struct error *err);
/* For readers by hand: ERR_RETRY with what the reader found, or with words. Return -1. */
int ddb_read_failed(const struct json_reader *r, struct error *err);
int ddb_read_lacks(const char *what, struct error *err);
/* Makes ERR_RETRY of an ERR_DATA that says what is wrong. Returns -1. */
int ddb_read_is_wrong(struct error *err);

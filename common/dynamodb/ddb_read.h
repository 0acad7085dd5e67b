/* common/dynamodb/ddb_read.h - what the readers of the services' answers share.
 *
 * An answer comes whole (its length and sum were checked), so one that is not the JSON that it
 * should be is a lie of something on the way: it is asked for again (ERR_RETRY). Pure. */
#pragma once

#include "common/base/error.h"
#include "common/json/json_reader.h"

/* Reads a string (unescaped) or null (*at stays) into *at, freeing what was there. */
void ddb_read_string(struct json_reader *r, char **at);
/* Reads an object or null: *ret is its slice, or empty. */
void ddb_read_object(struct json_reader *r, struct bytes *ret);
/* A number of capacity units (128.5) in thousandths; what can be none is 0. */
int64_t ddb_read_units_milli(struct bytes number);
/* ERR_RETRY with what the reader found, or with words. Both return -1. */
int ddb_read_failed(const struct json_reader *r, struct error *err);
int ddb_read_lacks(const char *what, struct error *err);

/* common/item/ddb_indexes.h - the secondary indexes of a table: which attributes each is made
 * of. */
#pragma once

#include "common/item/key_schema.h"
#include "common/json/json_reader.h"

struct ddb_index {
    char *name;
    struct key_schema keys;
};

struct ddb_indexes {
    struct ddb_index *list;
    size_t count;
};

void ddb_indexes_release(struct ddb_indexes *x);
void ddb_indexes_copy(struct ddb_indexes *ret, const struct ddb_indexes *x);
/* Takes keys. */
void ddb_indexes_add(struct ddb_indexes *x, struct bytes name, struct key_schema *keys);
/* [{"name":"by_date","key_schema":[...]},...]: the form in the ledger. */
void ddb_indexes_write(struct buf *out, const struct ddb_indexes *x);
/* Reads the same. ERR_DATA. */
int ddb_indexes_read(struct ddb_indexes *ret, struct json_reader *r, struct error *err);

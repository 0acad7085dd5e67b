/* common/item/key_schema.h - which attributes a table's (or an index's) key is made of. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"

struct key_attribute {
    char *name; /* NULL: there is none; WTF-8, may hold any byte but is zero terminated too */
    size_t name_len;
    char type; /* 'S', 'N' or 'B' */
};

static inline struct bytes key_attribute_name(const struct key_attribute *a)
{
    return (struct bytes){a->name, a->name_len};
}

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
/* The same, where the types of the attributes stand apart: KeySchema and AttributeDefinitions
 * of DescribeTable. */
int key_schema_read_described(struct key_schema *ret, struct bytes keys,
                              struct bytes definitions, struct error *err);

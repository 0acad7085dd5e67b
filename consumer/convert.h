/* consumer/convert.h - from a message's DynamoDB JSON straight into BSON, in one pass.
 *
 * docs/conversion.md has the table. Pure; any thread. No tree, no libbson on the way: bytes are
 * written into the caller's buffer. The rules of `raw` are in convert_raw.c, those of `change`
 * in convert_change.c. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/item/key_schema.h"

enum convert_type {
    CONVERT_RAW,
    CONVERT_CHANGE
};
enum convert_number {
    CONVERT_EXACT,
    CONVERT_DOUBLE
};
enum convert_identity {
    IDENTITY_OBJECTID,
    IDENTITY_KEY
};

struct converter { /* set once a table */
    enum convert_type type;
    enum convert_number number; /* never touches keys */
    enum convert_identity identity;
    const char *id_prefix; /* convert._id: "pre" stores the attribute _id as pre_id */
    const struct key_schema *schema;
};

/* Appends a whole BSON document (with its length and final zero): the replacement for an item.
 * Identity `key` puts _id first; then the key attributes from keys (canonical), then the rest
 * of `after` in its order. ERR_DATA: a name that MongoDB refuses or BSON can't hold ($ in front
 * at the top level, a NUL), text that is no UTF-8 (a lone surrogate), a clash with the name
 * that `_id` is stored under, a malformed value, over 16 MiB: dead letter. ERR_RETRY: the
 * document is fine, but the buffer's ceiling is nearer than its end: empty it and convert
 * again. On failure out is as it was. */
int convert_document(struct buf *out, const struct converter *c, struct bytes keys,
                     struct bytes after, struct error *err);

/* Appends a whole BSON document that filters the item: {"_id":v}, or {"pk":v,"sk":v} (change),
 * or
 * {"pk.S":v,"sk.N":v} (raw). Only for identity `objectid` are key names looked at: see
 * convert_key_indexable. */
int convert_filter(struct buf *out, const struct converter *c, struct bytes keys,
                   struct error *err);

/* The BSON key pattern of the unique index for identity `objectid`: {"pk.S":1,"sk.N":1} or
 * {"pk":1,"sk":1}. */
void convert_index_pattern(struct buf *out, const struct converter *c);

/* false: a key attribute's name has a dot or a leading dollar, or is empty or holds a NUL: such
 * a table gets IDENTITY_KEY. */
bool convert_key_indexable(const struct key_schema *schema);

/* consumer/convert.h - from a message's DynamoDB JSON straight into BSON, in one pass.
 *
 * docs/conversion.md has the table. Pure; any thread. No tree, no libbson on the way: bytes are
 * written into the caller's buffer. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "consumer/converter.h"

/* Appends a whole BSON document (with its length and final zero): the replacement for an item.
 * Identity `key` puts _id first; then the key attributes from keys (canonical), then the rest
 * of `after` in its order. ERR_DATA: a name that MongoDB refuses or BSON can't hold ($ in front
 * at the top level, a NUL), text that is no UTF-8 (a lone surrogate), a clash with the name
 * that `_id` is stored under, a malformed value, over 16 MiB: dead letter. ERR_RETRY: the
 * document is fine, but the buffer's ceiling is nearer than its end: empty it and convert
 * again. On failure out is as it was. */
int convert_document(struct buf *out, const struct converter *converter, struct bytes keys,
                     struct bytes after, struct error *err);

/* Appends a whole BSON document that filters the item: {"_id":v}, or {"pk":v,"sk":v} (change),
 * or {"pk.S":v,"sk.N":v} (raw), which is right only for a schema that converter_can_index. */
int convert_filter(struct buf *out, const struct converter *converter, struct bytes keys,
                   struct error *err);

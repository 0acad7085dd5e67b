/* consumer/document_key.h - from a document as it stands in the target back to the primary key
 * of its item. Pure.
 *
 * A sweep deletes documents by what is read here, so a key is found only where convert_filter
 * of that key finds this very document. Everything else is the user's own and stays:
 * - a key attribute is missing, stands there twice, or under a name that no item is stored
 * with;
 * - its value has a type, or a number's text a spelling, that conversion makes of no such key.
 *   Numbers that are equal to MongoDB are equal here (7, 7.0 and Decimal128 7), since a user's
 *   tool may have changed one into the other;
 * - with target.id = key, _id says another key than the fields do. */
#pragma once

#include <bson/bson.h>

#include "common/base/bytes.h"
#include "consumer/converter.h"

enum document_key_result {
    DOCUMENT_KEY_FOUND,
    DOCUMENT_KEY_FOREIGN,
};

/* Appends the canonical keys {"pk":{"S":"u1"},"sk":{"N":"7"}} and the message key
 * {"pk":{"S":"u1"}}, byte for byte as ddb_item_keys writes them. FOREIGN: nothing was appended;
 * so too when a buffer's ceiling is too near, and then its `overflow` is set. */
enum document_key_result document_key_read(struct buf *keys, struct buf *message_key,
                                           const struct converter *converter,
                                           const bson_t *doc);

/* What a find has to return of a document: its _id and the fields of the key. Empty, so whole
 * documents, when one of their names is no path. The caller destroys it. */
void document_key_projection(bson_t *ret, const struct converter *converter);

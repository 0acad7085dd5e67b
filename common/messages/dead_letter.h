/* common/messages/dead_letter.h - a record of the dead-letter topic: what could not be carried
 * or applied, and why.
 *
 * schemas/dead-letter.schema.json describes it. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/bytes.h"

struct dead_letter {
    struct bytes stage; /* "producer" | "consumer" */
    struct bytes table;
    struct bytes reason; /* UTF-8 */
    struct bytes topic;  /* the data topic */
    int32_t partition;
    int64_t offset; /* -1: refused before it had one */
    int64_t generation;
    struct bytes keys;    /* canonical object, or empty: null */
    struct bytes headers; /* a JSON object of the record's headers, or empty: {} */
    /* the record's bytes, base64 in the message; empty: null (did not fit) */
    struct bytes value;
    int64_t ts_ms;
    bool old_document_stays; /* consumer: the target still holds the item's former value */
};
void dead_letter_encode(struct buf *out, const struct dead_letter *d);
/* Adds a header to an object for `headers`, which begins empty and which the caller closes.
 * ASCII: a foreign header may hold anything, of which '?' is left. */
void dead_letter_header(struct buf *out, struct bytes name, struct bytes value);

/* common/messages/dead_letter.h - a record of the dead-letter topic: what could not be carried
 * or applied, and why.
 *
 * A letter that was replayed stays; a mark behind it says so. schemas/dead-letter.schema.json
 * describes both. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/error.h"

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

/* What a replay needs of a record of the topic. Slices of the message. */
struct dead_letter_seen {
    bool is_mark;       /* the letter at offset, in this partition, was handled */
    struct bytes table; /* raw: as it stands between its quotes */
    struct bytes keys;  /* of a letter: an object; empty: null */
    int32_t partition;  /* of a mark: where the letter is in the dead-letter topic */
    int64_t offset;
};
/* ERR_DATA for anything else. Unknown members are ignored. */
int dead_letter_see(struct dead_letter_seen *ret, struct bytes message, struct error *err);

struct dead_letter_mark {
    struct bytes table;
    int32_t partition; /* of the letter, in the dead-letter topic */
    int64_t offset;
    int64_t ts_ms;
};
void dead_letter_mark_encode(struct buf *out, const struct dead_letter_mark *mark);

/* fullcheck/pending.h - the keys of a table that are to be rechecked, by when.
 *
 * Bounded: who adds asks first whether there is room. Not locked: under the table's lock. */
#pragma once

#include <stddef.h>
#include <uthash.h>

#include "common/base/bytes.h"
#include "fullcheck/key_set.h"
#include "fullcheck/settle.h"

enum pending_origin {
    PENDING_ITEM,     /* an item that did not match its document, or of the sample */
    PENDING_DOCUMENT, /* a document whose item may be missing: an item that is there is not
                         compared */
};

#define PENDING_IMAGES 8

struct pending_key {
    char *text; /* canonical; owned */
    size_t len;
    enum pending_origin origin;
    struct settle settle;
    uint64_t digest; /* of the item at the last recheck; 0: there was none */
    /* The item as it was at earlier rechecks, the newest first; JSON, "" for none. */
    char *images[PENDING_IMAGES];
    size_t image_count;
    char *line; /* of the report, while a repair is awaited; owned */
    int kind;   /* of that difference */
    int64_t repair_until_ms;
    int64_t due_ms;
    struct pending_key *prev, *next;
    UT_hash_handle hh;
};

#define PENDING_QUEUES (SETTLE_LEVELS + 1)

struct pending {
    struct pending_key *by_text;
    struct pending_key *queues[PENDING_QUEUES]; /* each in the order of due times */
    int64_t limit_ms;
    size_t image_bytes;
    struct key_set reported; /* so that a key that is met again is not counted again */
};

void pending_init(struct pending *p, int64_t settle_limit_ms);
void pending_release(struct pending *p);

bool pending_has_room(const struct pending *p);
/* Nothing waits, nothing is in a thread's hands. */
bool pending_is_empty(const struct pending *p);
/* Due at once. Nothing when the key is there already, or was reported. */
void pending_add(struct pending *p, struct bytes key, enum pending_origin origin);
/* Up to `most` keys that are due; each is given back by one of the next three. */
size_t pending_take(struct pending *p, struct pending_key **ret, size_t most, int64_t now_ms);
void pending_again(struct pending *p, struct pending_key *entry, int64_t now_ms);
void pending_done(struct pending *p, struct pending_key *entry);
/* Done, and counted. */
void pending_reported(struct pending *p, struct pending_key *entry);
/* false: they were too many. */
bool pending_remembers_reported(const struct pending *p);
/* When the next key is due; INT64_MAX: none waits. */
int64_t pending_due_ms(const struct pending *p);

/* Remembers how the item looks now. Past the memory that is meant for it older ones go. */
void pending_remember(struct pending *p, struct pending_key *entry, struct bytes image);

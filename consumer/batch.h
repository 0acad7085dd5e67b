/* consumer/batch.h - the events of one partition that become one write: the newest one of each
 * key that can be held.
 *
 * Invariant: after every call, applying the entries in any order gives the same documents as
 * applying all added events in their order. So the write may be unordered. It is only right
 * because each key stands once: keys are compared as canonical bytes. Applied one by one, an
 * event that is refused leaves what the older ones of its key made. So the older events stay
 * behind the newest, and take its place, one after another, when it is refused: a document does
 * not depend on where batches begin and end.
 *
 * The batch borrows the events' slices; whoever adds an event keeps its message until the batch
 * is emptied. Pure; of the thread that holds the partition. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/messages/event.h"
#include "consumer/position.h"

struct batch_entry {
    struct bytes keys;  /* canonical */
    struct bytes after; /* empty: delete */
    int64_t generation;
    int64_t offset;
    void *message; /* the caller's */
    uint32_t hash;
    uint32_t older; /* the next older event of this key, as its index in older + 1; 0: none */
    bool refused;   /* a dead letter was made of it */
};

struct batch_older { /* an event that a newer one of its key replaced */
    struct bytes after;
    int64_t generation;
    int64_t offset;
    void *message;
    uint32_t older; /* as above */
};

struct batch {
    struct batch_entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *slots; /* open addressing: index of the entry + 1, 0 is free */
    size_t slot_count;
    struct batch_older *older;
    size_t older_count;
    size_t older_capacity;
    size_t bytes;         /* of all messages seen, also of replaced ones */
    size_t seen;          /* messages, whatever they were */
    int64_t first_offset; /* of the first message seen */
    int64_t next_offset;  /* after the last message seen; POSITION_NONE: none */
    int64_t generation;   /* of the last begin seen; 0: none */
    char log_id[POSITION_TEXT_MAX];
};

void batch_init(struct batch *b);
void batch_release(struct batch *b);
/* Empty again, memory kept. */
void batch_reset(struct batch *b);

/* Every message counts, in the order of its offset, before it is added or left out. */
void batch_saw(struct batch *b, int64_t offset, size_t bytes);
/* A row, change or delete: stands before the earlier events of the same key. */
void batch_add(struct batch *b, const struct event *ev, int64_t offset, void *message);
/* The entry's event was refused: the next older one of its key takes its place. false: there is
 * none, and the entry is left as it is. */
bool batch_fall_back(struct batch *b, struct batch_entry *entry);
/* A begin: the position carries its generation and log id when the batch was applied. */
void batch_begin(struct batch *b, int64_t generation, struct bytes log_id);

bool batch_is_full(const struct batch *b, size_t max_count, size_t max_bytes);

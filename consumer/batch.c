#include "consumer/batch.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/mutation.h"

#define FIRST_CAPACITY 64
#define SLOTS_PER_ENTRY 2
#define OLDER_KEPT 1024 /* of an empty batch: more is what one hot key needed */

void batch_init(struct batch *b)
{
    *b = (struct batch){.first_offset = POSITION_NONE, .next_offset = POSITION_NONE};
}

void batch_release(struct batch *b)
{
    free(b->entries);
    free(b->slots);
    free(b->older);
    batch_init(b);
}

void batch_reset(struct batch *b)
{
    if (b->slots)
        memset(b->slots, 0, b->slot_count * sizeof(*b->slots));
    if (b->older_capacity > OLDER_KEPT) {
        free(b->older);
        b->older = NULL;
        b->older_capacity = 0;
    }
    b->count = b->older_count = b->bytes = b->seen = 0;
    b->first_offset = b->next_offset = POSITION_NONE;
    b->generation = 0;
    b->log_id[0] = '\0';
}

/* Eight bytes at a time; good enough for a table of one batch. */
static uint32_t hash_bytes(struct bytes s)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ s.len, word;
    size_t i = 0;

    for (; i + sizeof(word) <= s.len; i += sizeof(word)) {
        memcpy(&word, s.p + i, sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, s.p + i, s.len - i);
    h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(h >> 32);
}

/* The slot of this key, or the free one where it belongs. */
static uint32_t *slot_find(const struct batch *b, struct bytes keys, uint32_t hash)
{
    size_t mask = b->slot_count - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const struct batch_entry *entry;

        if (!b->slots[i])
            return &b->slots[i];
        entry = &b->entries[b->slots[i] - 1];
        if (entry->hash == hash && bytes_equal(entry->keys, keys))
            return &b->slots[i];
    }
}

static void grow(struct batch *b)
{
    b->capacity = b->capacity ? 2 * b->capacity : FIRST_CAPACITY;
    b->entries = xrealloc(b->entries, b->capacity * sizeof(*b->entries));
    b->slot_count = SLOTS_PER_ENTRY * b->capacity;
    free(b->slots);
    b->slots = xcalloc(b->slot_count, sizeof(*b->slots));
    for (size_t i = 0; i < b->count; i++)
        *slot_find(b, b->entries[i].keys, b->entries[i].hash) = (uint32_t)i + 1;
}

void batch_saw(struct batch *b, int64_t offset, size_t bytes)
{
    CHECK(offset >= b->next_offset);
    if (b->seen == 0)
        b->first_offset = offset;
    b->next_offset = offset + 1;
    b->bytes += bytes;
    b->seen++;
}

/* Keeps the event that entry stands for; its index + 1. */
static uint32_t keep_older(struct batch *b, const struct batch_entry *entry)
{
    if (b->older_count == b->older_capacity) {
        b->older_capacity = b->older_capacity ? 2 * b->older_capacity : FIRST_CAPACITY;
        b->older = xrealloc(b->older, b->older_capacity * sizeof(*b->older));
    }
    b->older[b->older_count] = (struct batch_older){.after = entry->after,
                                                    .generation = entry->generation,
                                                    .offset = entry->offset,
                                                    .message = entry->message,
                                                    .older = entry->older};
    return (uint32_t)++b->older_count;
}

bool batch_fall_back(struct batch *b, struct batch_entry *entry)
{
    const struct batch_older *older;

    if (!entry->older)
        return false;
    older = &b->older[entry->older - 1];
    entry->after = older->after;
    entry->generation = older->generation;
    entry->offset = older->offset;
    entry->message = older->message;
    entry->older = older->older;
    return true;
}

void batch_add(struct batch *b, const struct event *ev, int64_t offset, void *message)
{
    struct batch_entry new = {.keys = ev->keys,
                              .after = ev->op == EVENT_DELETE ? (struct bytes){0} : ev->after,
                              .generation = ev->source.generation,
                              .offset = offset,
                              .message = message,
                              .hash = hash_bytes(ev->keys)};
    uint32_t *slot;

    if (b->count == b->capacity)
        grow(b);
    slot = slot_find(b, new.keys, new.hash);
    if (!*slot) {
        b->entries[b->count] = new;
        *slot = (uint32_t)++b->count;
    } else if (!MUTATED(dedupe)) {
        new.older = keep_older(b, &b->entries[*slot - 1]);
        b->entries[*slot - 1] = new;
    }
}

void batch_begin(struct batch *b, int64_t generation, struct bytes log_id)
{
    CHECK(log_id.len < sizeof(b->log_id));
    b->generation = generation;
    memcpy(b->log_id, log_id.p, log_id.len);
    b->log_id[log_id.len] = '\0';
}

bool batch_is_full(const struct batch *b, size_t max_count, size_t max_bytes)
{
    return b->count >= max_count || b->bytes >= max_bytes || b->seen >= 8 * max_count;
}

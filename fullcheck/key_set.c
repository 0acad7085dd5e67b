#include "fullcheck/key_set.h"

#include <stdlib.h>
#include <xxhash.h>

#define FIRST_CAPACITY 256

void key_set_release(struct key_set *set)
{
    free(set->slots);
    *set = (struct key_set){0};
}

static struct key_hash hash_of(struct bytes key)
{
    XXH128_hash_t h = XXH3_128bits(key.p, key.len);

    return (struct key_hash){h.low64 | 1, h.high64};
}

/* Where it is or would be; at most half of the slots are taken. */
static struct key_hash *slot_of(const struct key_set *set, struct key_hash h)
{
    size_t i = h.high & (set->capacity - 1);

    while (set->slots[i].low && (set->slots[i].low != h.low || set->slots[i].high != h.high))
        i = (i + 1) & (set->capacity - 1);
    return &set->slots[i];
}

static void grow(struct key_set *set)
{
    struct key_set larger = {.capacity = set->capacity ? set->capacity * 2 : FIRST_CAPACITY,
                             .count = set->count};

    larger.slots = xcalloc(larger.capacity, sizeof(*larger.slots));
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i].low)
            *slot_of(&larger, set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = larger;
}

void key_set_add(struct key_set *set, struct bytes key)
{
    struct key_hash h = hash_of(key), *slot;

    if (set->count == KEY_SET_AT_MOST)
        return;
    if (2 * (set->count + 1) > set->capacity)
        grow(set);
    slot = slot_of(set, h);
    set->count += slot->low == 0;
    *slot = h;
}

bool key_set_has(const struct key_set *set, struct bytes key)
{
    return set->count && slot_of(set, hash_of(key))->low;
}

#include "fullcheck/key_set.h"

#include <stdlib.h>
#include <xxhash.h>

#define FIRST_CAPACITY 256

void key_set_release(struct key_set *s)
{
    free(s->slots);
    *s = (struct key_set){0};
}

static struct key_hash hash_of(struct bytes key)
{
    XXH128_hash_t h = XXH3_128bits(key.p, key.len);

    return (struct key_hash){h.low64 | 1, h.high64};
}

/* Where it is or would be; at most half of the slots are taken. */
static struct key_hash *slot_of(const struct key_set *s, struct key_hash h)
{
    size_t i = h.high & (s->capacity - 1);

    while (s->slots[i].low && (s->slots[i].low != h.low || s->slots[i].high != h.high))
        i = (i + 1) & (s->capacity - 1);
    return &s->slots[i];
}

static void grow(struct key_set *s)
{
    struct key_set larger = {.capacity = s->capacity ? s->capacity * 2 : FIRST_CAPACITY,
                             .count = s->count};

    larger.slots = xcalloc(larger.capacity, sizeof(*larger.slots));
    for (size_t i = 0; i < s->capacity; i++)
        if (s->slots[i].low)
            *slot_of(&larger, s->slots[i]) = s->slots[i];
    free(s->slots);
    *s = larger;
}

void key_set_add(struct key_set *s, struct bytes key)
{
    struct key_hash h = hash_of(key), *slot;

    if (s->count == KEY_SET_AT_MOST)
        return;
    if (2 * (s->count + 1) > s->capacity)
        grow(s);
    slot = slot_of(s, h);
    s->count += slot->low == 0;
    *slot = h;
}

bool key_set_has(const struct key_set *s, struct bytes key)
{
    return s->count && slot_of(s, hash_of(key))->low;
}

#include "support_search.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"

#define FIRST_CAPACITY 4096

void search_init(struct search *s, size_t state_size)
{
    *s = (struct search){.state_size = state_size, .at = SEARCH_NOBODY};
}

void search_release(struct search *s)
{
    free(s->states);
    free(s->from);
    free(s->slots);
    free(s->todo);
    *s = (struct search){.at = SEARCH_NOBODY};
}

const void *search_state(const struct search *s, uint32_t number)
{
    CHECK(number < s->count);
    return s->states + (size_t)number * s->state_size;
}

static uint64_t hash_of(const struct search *s, const uint8_t *state)
{
    uint64_t hash = 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < s->state_size; i += sizeof(hash)) {
        uint64_t part = 0;

        memcpy(&part, state + i, MIN(sizeof(part), s->state_size - i));
        hash = (hash ^ part) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

/* Where the state stands, or would. */
static uint32_t *slot_of(struct search *s, const uint8_t *state)
{
    uint32_t i = (uint32_t)hash_of(s, state) & (s->slot_count - 1);

    while (s->slots[i] && memcmp(search_state(s, s->slots[i] - 1), state, s->state_size) != 0)
        i = (i + 1) & (s->slot_count - 1);
    return &s->slots[i];
}

static void grow(struct search *s)
{
    s->capacity = s->capacity ? 2 * s->capacity : FIRST_CAPACITY;
    s->slot_count = 2 * s->capacity;
    s->states = xrealloc(s->states, s->capacity * s->state_size);
    s->from = xrealloc(s->from, s->capacity * sizeof(*s->from));
    s->todo = xrealloc(s->todo, s->capacity * sizeof(*s->todo));
    free(s->slots);
    s->slots = xcalloc(s->slot_count, sizeof(*s->slots));
    for (uint32_t i = 0; i < s->count; i++)
        *slot_of(s, search_state(s, i)) = i + 1;
}

void search_add(struct search *s, const void *state)
{
    uint32_t *slot;

    if (s->count == s->capacity)
        grow(s);
    s->steps++;
    slot = slot_of(s, state);
    if (*slot)
        return;
    memcpy(s->states + (size_t)s->count * s->state_size, state, s->state_size);
    s->from[s->count] = s->at;
    s->todo[s->todo_count++] = s->count;
    *slot = ++s->count;
}

bool search_next(struct search *s, void *state)
{
    if (s->todo_count == 0)
        return false;
    s->at = s->todo[--s->todo_count];
    memcpy(state, search_state(s, s->at), s->state_size);
    return true;
}

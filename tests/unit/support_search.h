/* tests/unit/support_search.h - visits every state that can be reached, each once.
 *
 * States are plain bytes of one size, padding included: build them from zeros. The last state
 * found is the next one visited. Each remembers the state it came from, so that the way to a
 * wrong end can be told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEARCH_NOBODY UINT32_MAX

struct search {
    size_t state_size;
    uint8_t *states; /* count of them, in the order found */
    uint32_t *from;  /* of each: the number of the state it came from */
    uint32_t count, capacity;
    uint32_t *slots; /* by hash: number + 1, 0: free */
    uint32_t slot_count;
    uint32_t *todo;
    uint32_t todo_count;
    uint32_t at;  /* the state that is being visited */
    size_t steps; /* taken, also to states that were seen before */
};

void search_init(struct search *s, size_t state_size);
void search_release(struct search *s);

/* A state that follows the visited one. */
void search_add(struct search *s, const void *state);
/* Copies the next state to visit. false: all were. */
bool search_next(struct search *s, void *state);
const void *search_state(const struct search *s, uint32_t number);

/* fullcheck/key_set.h - a set of keys by their hashes, as many as it has room for.
 *
 * 16 to 32 bytes per key, a million keys at most: what is added beyond is not remembered. Not
 * locked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"

#define KEY_SET_AT_MOST ((size_t)1 << 20)

struct key_hash {
    uint64_t low; /* never 0 */
    uint64_t high;
};

struct key_set { /* {0} is empty */
    struct key_hash *slots;
    size_t capacity; /* a power of two */
    size_t count;
};

void key_set_release(struct key_set *set);
void key_set_add(struct key_set *set, struct bytes key);
bool key_set_has(const struct key_set *set, struct bytes key);

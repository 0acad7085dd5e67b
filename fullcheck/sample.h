/* fullcheck/sample.h - a uniform sample of the keys that are shown to it, whatever their order.
 *
 * Keeps the keys with the smallest seeded hashes: each key has the same chance, a key shown
 * twice counts once, and the same seed takes the same keys from the same table. Not locked. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/bytes.h"

struct sample_key {
    uint64_t hash;
    char *text;
    size_t len;
    UT_hash_handle hh;
};

struct sample {
    uint64_t seed;
    size_t most;
    struct sample_key **heap; /* the largest hash first */
    size_t count;
    struct sample_key *by_text;
};

/* most: at least 1. */
void sample_init(struct sample *sample, size_t most, uint64_t seed);
void sample_release(struct sample *sample);
void sample_show(struct sample *sample, struct bytes key);

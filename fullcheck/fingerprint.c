#include "fullcheck/fingerprint.h"

#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS ((size_t)1 << 18)

struct fingerprint {
    _Atomic uint64_t sums[BUCKETS];
};

struct fingerprint *fingerprint_new(void)
{
    return xcalloc(1, sizeof(struct fingerprint));
}

void fingerprint_free(struct fingerprint *f)
{
    free(f);
}

void fingerprint_reset(struct fingerprint *f)
{
    for (size_t i = 0; i < BUCKETS; i++)
        atomic_store_explicit(&f->sums[i], 0, memory_order_relaxed);
}

void fingerprint_add(struct fingerprint *f, struct bytes key)
{
    XXH128_hash_t h = XXH3_128bits(key.p, key.len);

    atomic_fetch_add_explicit(&f->sums[h.low64 % BUCKETS], h.high64, memory_order_relaxed);
}

static uint64_t sum(const struct fingerprint *f, size_t bucket)
{
    return atomic_load_explicit(&f->sums[bucket], memory_order_relaxed);
}

bool fingerprint_agree(const struct fingerprint *a, const struct fingerprint *b,
                       struct bytes key)
{
    size_t bucket = XXH3_128bits(key.p, key.len).low64 % BUCKETS;

    return sum(a, bucket) == sum(b, bucket);
}

bool fingerprint_equal(const struct fingerprint *a, const struct fingerprint *b)
{
    for (size_t i = 0; i < BUCKETS; i++)
        if (sum(a, i) != sum(b, i))
            return false;
    return true;
}

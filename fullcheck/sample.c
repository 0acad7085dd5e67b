#include "fullcheck/sample.h"

#include <stdlib.h>
#include <xxhash.h>

void sample_init(struct sample *sample, size_t most, uint64_t seed)
{
    *sample = (struct sample){.seed = seed, .most = most};
}

static void key_free(struct sample *sample, struct sample_key *drawn)
{
    HASH_DEL(sample->by_text, drawn);
    free(drawn->text);
    free(drawn);
}

void sample_release(struct sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        key_free(sample, sample->heap[i]);
    free(sample->heap);
    *sample = (struct sample){0};
}

/* ---- the heap ---- */

static void swap(struct sample *sample, size_t a, size_t b)
{
    struct sample_key *drawn = sample->heap[a];

    sample->heap[a] = sample->heap[b];
    sample->heap[b] = drawn;
}

static void sift_up(struct sample *sample, size_t i)
{
    for (; i > 0 && sample->heap[(i - 1) / 2]->hash < sample->heap[i]->hash; i = (i - 1) / 2)
        swap(sample, i, (i - 1) / 2);
}

static void sift_down(struct sample *sample)
{
    size_t i = 0, child;

    while ((child = 2 * i + 1) < sample->count) {
        if (child + 1 < sample->count &&
            sample->heap[child + 1]->hash > sample->heap[child]->hash)
            child++;
        if (sample->heap[child]->hash <= sample->heap[i]->hash)
            return;
        swap(sample, i, child);
        i = child;
    }
}

static void put(struct sample *sample, struct sample_key *drawn)
{
    if (sample->count < sample->most) {
        if ((sample->count & (sample->count - 1)) == 0) /* full at each power of two */
            sample->heap =
                xrealloc(sample->heap, MAX(sample->count * 2, 1) * sizeof(*sample->heap));
        sample->heap[sample->count++] = drawn;
        sift_up(sample, sample->count - 1);
        return;
    }
    key_free(sample, sample->heap[0]);
    sample->heap[0] = drawn;
    sift_down(sample);
}

void sample_show(struct sample *sample, struct bytes key)
{
    uint64_t hash = XXH3_64bits_withSeed(key.p, key.len, sample->seed);
    struct sample_key *drawn;

    if (sample->count == sample->most && hash >= sample->heap[0]->hash)
        return;
    HASH_FIND(hh, sample->by_text, key.p, key.len, drawn);
    if (drawn)
        return;
    drawn = xcalloc(1, sizeof(*drawn));
    *drawn = (struct sample_key){.hash = hash, .text = bytes_dup(key), .len = key.len};
    HASH_ADD_KEYPTR(hh, sample->by_text, drawn->text, drawn->len, drawn);
    put(sample, drawn);
}

#include "fullcheck/sample.h"

#include <stdlib.h>
#include <xxhash.h>

void sample_init(struct sample *s, size_t most, uint64_t seed)
{
    *s = (struct sample){.seed = seed, .most = most};
}

static void key_free(struct sample *s, struct sample_key *drawn)
{
    HASH_DEL(s->by_text, drawn);
    free(drawn->text);
    free(drawn);
}

void sample_release(struct sample *s)
{
    for (size_t i = 0; i < s->count; i++)
        key_free(s, s->heap[i]);
    free(s->heap);
    *s = (struct sample){0};
}

/* ---- the heap ---- */

static void swap(struct sample *s, size_t a, size_t b)
{
    struct sample_key *drawn = s->heap[a];

    s->heap[a] = s->heap[b];
    s->heap[b] = drawn;
}

static void sift_up(struct sample *s, size_t i)
{
    for (; i > 0 && s->heap[(i - 1) / 2]->hash < s->heap[i]->hash; i = (i - 1) / 2)
        swap(s, i, (i - 1) / 2);
}

static void sift_down(struct sample *s)
{
    size_t i = 0, child;

    while ((child = 2 * i + 1) < s->count) {
        if (child + 1 < s->count && s->heap[child + 1]->hash > s->heap[child]->hash)
            child++;
        if (s->heap[child]->hash <= s->heap[i]->hash)
            return;
        swap(s, i, child);
        i = child;
    }
}

static void put(struct sample *s, struct sample_key *drawn)
{
    if (s->count < s->most) {
        if ((s->count & (s->count - 1)) == 0) /* full at each power of two */
            s->heap = xrealloc(s->heap, MAX(s->count * 2, 1) * sizeof(*s->heap));
        s->heap[s->count++] = drawn;
        sift_up(s, s->count - 1);
        return;
    }
    key_free(s, s->heap[0]);
    s->heap[0] = drawn;
    sift_down(s);
}

void sample_show(struct sample *s, struct bytes key)
{
    uint64_t hash = XXH3_64bits_withSeed(key.p, key.len, s->seed);
    struct sample_key *drawn;

    if (s->count == s->most && hash >= s->heap[0]->hash)
        return;
    HASH_FIND(hh, s->by_text, key.p, key.len, drawn);
    if (drawn)
        return;
    drawn = xcalloc(1, sizeof(*drawn));
    *drawn = (struct sample_key){.hash = hash, .text = bytes_dup(key), .len = key.len};
    HASH_ADD_KEYPTR(hh, s->by_text, drawn->text, drawn->len, drawn);
    put(s, drawn);
}

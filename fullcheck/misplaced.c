#include "fullcheck/misplaced.h"

#include <stdlib.h>

#define DOCUMENTS_AT_MOST 100000
#define BYTES_AT_MOST ((size_t)64 << 20)

void misplaced_release(struct misplaced *m)
{
    struct misplaced_key *k, *tmp;

    HASH_ITER(hh, m->by_text, k, tmp)
    {
        HASH_DEL(m->by_text, k);
        for (size_t i = 0; i < k->count; i++)
            bson_destroy(k->ids[i]);
        free(k->ids);
        free(k->text);
        free(k);
    }
    m->documents = m->bytes = 0;
}

static struct misplaced_key *find(const struct misplaced *m, struct bytes key)
{
    struct misplaced_key *k;

    HASH_FIND(hh, m->by_text, key.p, key.len, k);
    return k;
}

static struct misplaced_key *make(struct misplaced *m, struct bytes key)
{
    struct misplaced_key *k = xcalloc(1, sizeof(*k));

    k->text = bytes_dup(key);
    k->len = key.len;
    HASH_ADD_KEYPTR(hh, m->by_text, k->text, k->len, k);
    return k;
}

bool misplaced_add(struct misplaced *m, struct bytes key, const bson_t *document)
{
    struct misplaced_key *k = find(m, key);
    bson_iter_t it;

    if (m->documents == DOCUMENTS_AT_MOST || m->bytes >= BYTES_AT_MOST)
        return false;
    if (!k)
        k = make(m, key);
    k->ids = xrealloc(k->ids, (k->count + 1) * sizeof(*k->ids));
    k->ids[k->count] = bson_new();
    if (bson_iter_init_find(&it, document, "_id"))
        bson_append_iter(k->ids[k->count], "_id", -1, &it);
    m->bytes += k->ids[k->count]->len;
    k->count++;
    m->documents++;
    return true;
}

const struct misplaced_key *misplaced_find(const struct misplaced *m, struct bytes key)
{
    return find(m, key);
}

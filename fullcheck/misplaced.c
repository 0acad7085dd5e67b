#include "fullcheck/misplaced.h"

#include <stdlib.h>

#define DOCUMENTS_AT_MOST 100000
#define BYTES_AT_MOST ((size_t)64 << 20)

void misplaced_release(struct misplaced *m)
{
    struct misplaced_key *misplaced, *tmp;

    HASH_ITER(hh, m->by_text, misplaced, tmp) {
        HASH_DEL(m->by_text, misplaced);
        for (size_t i = 0; i < misplaced->count; i++)
            bson_destroy(misplaced->ids[i]);
        free(misplaced->ids);
        free(misplaced->text);
        free(misplaced);
    }
    m->documents = m->bytes = 0;
}

static struct misplaced_key *find(const struct misplaced *m, struct bytes key)
{
    struct misplaced_key *misplaced;

    HASH_FIND(hh, m->by_text, key.p, key.len, misplaced);
    return misplaced;
}

static struct misplaced_key *make(struct misplaced *m, struct bytes key)
{
    struct misplaced_key *misplaced = xcalloc(1, sizeof(*misplaced));

    misplaced->text = bytes_dup(key);
    misplaced->len = key.len;
    HASH_ADD_KEYPTR(hh, m->by_text, misplaced->text, misplaced->len, misplaced);
    return misplaced;
}

bool misplaced_add(struct misplaced *m, struct bytes key, const bson_t *document)
{
    struct misplaced_key *misplaced = find(m, key);
    bson_iter_t it;

    if (m->documents == DOCUMENTS_AT_MOST || m->bytes >= BYTES_AT_MOST)
        return false;
    if (!misplaced)
        misplaced = make(m, key);
    misplaced->ids = xrealloc(misplaced->ids, (misplaced->count + 1) * sizeof(*misplaced->ids));
    misplaced->ids[misplaced->count] = bson_new();
    if (bson_iter_init_find(&it, document, "_id"))
        bson_append_iter(misplaced->ids[misplaced->count], "_id", -1, &it);
    m->bytes += misplaced->ids[misplaced->count]->len;
    misplaced->count++;
    m->documents++;
    return true;
}

const struct misplaced_key *misplaced_find(const struct misplaced *m, struct bytes key)
{
    return find(m, key);
}

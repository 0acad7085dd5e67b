#include "producer/name_map.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/base/auto.h"

struct name_entry {
    char *name;
    int64_t value;
    UT_hash_handle hh;
};

static struct name_entry *find(const struct name_map *m, const char *name)
{
    struct name_entry *e;

    HASH_FIND_STR(m->entries, name, e);
    return e;
}

void name_map_put(struct name_map *m, const char *name, int64_t value)
{
    struct name_entry *e = find(m, name);

    if (!e) {
        e = xcalloc(1, sizeof(*e));
        e->name = xstrdup(name);
        HASH_ADD_KEYPTR(hh, m->entries, e->name, strlen(e->name), e);
    }
    e->value = value;
}

bool name_map_has(const struct name_map *m, const char *name)
{
    return find(m, name) != NULL;
}

int64_t name_map_get(const struct name_map *m, const char *name, int64_t other)
{
    const struct name_entry *e = find(m, name);

    return e ? e->value : other;
}

static void entry_remove(struct name_map *m, struct name_entry *e)
{
    HASH_DEL(m->entries, e);
    free(e->name);
    free(e);
}

void name_map_remove(struct name_map *m, const char *name)
{
    struct name_entry *e = find(m, name);

    if (e)
        entry_remove(m, e);
}

void name_map_release(struct name_map *m)
{
    while (m->entries)
        entry_remove(m, m->entries);
}

#include "producer/name_map.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/base/auto.h"

struct name_entry {
    char *name;
    int64_t value;
    UT_hash_handle hh;
};

static struct name_entry *find(const struct name_map *map, const char *name)
{
    struct name_entry *entry;

    HASH_FIND_STR(map->entries, name, entry);
    return entry;
}

void name_map_put(struct name_map *map, const char *name, int64_t value)
{
    struct name_entry *entry = find(map, name);

    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        entry->name = xstrdup(name);
        HASH_ADD_KEYPTR(hh, map->entries, entry->name, strlen(entry->name), entry);
    }
    entry->value = value;
}

bool name_map_has(const struct name_map *map, const char *name)
{
    return find(map, name) != NULL;
}

int64_t name_map_get(const struct name_map *map, const char *name, int64_t other)
{
    const struct name_entry *entry = find(map, name);

    return entry ? entry->value : other;
}

static void entry_remove(struct name_map *map, struct name_entry *entry)
{
    HASH_DEL(map->entries, entry);
    free(entry->name);
    free(entry);
}

void name_map_remove(struct name_map *map, const char *name)
{
    struct name_entry *entry = find(map, name);

    if (entry)
        entry_remove(map, entry);
}

void name_map_release(struct name_map *map)
{
    while (map->entries)
        entry_remove(map, map->entries);
}

/* producer/name_map.h - numbers by name. Zeroed: empty. Of one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_map {
    struct name_entry *entries;
};

void name_map_put(struct name_map *map, const char *name, int64_t value);
bool name_map_has(const struct name_map *map, const char *name);
/* other: what to return when the name is not there. */
int64_t name_map_get(const struct name_map *map, const char *name, int64_t other);
/* One that is not there is fine. */
void name_map_remove(struct name_map *map, const char *name);
void name_map_release(struct name_map *map);

/* producer/name_map.h - a number for each name. Of one thread; zeroed: empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_map {
    struct name_entry *entries;
};

void name_map_put(struct name_map *m, const char *name, int64_t value);
bool name_map_has(const struct name_map *m, const char *name);
int64_t name_map_get(const struct name_map *m, const char *name, int64_t other);
void name_map_remove(struct name_map *m, const char *name); /* one that is not there is fine */
void name_map_release(struct name_map *m);

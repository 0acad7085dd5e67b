/* common/mongo/uuid.h - the UUID by which a collection is known from another one of its name. Pure.
 */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

struct uuid {
    bool known; /* false: the server gives none */
    uint8_t bytes[16];
};

bool uuid_equal(const struct uuid *a, const struct uuid *b);
/* By a dotted path; not known when absent or no 16 bytes. */
void uuid_read(struct uuid *ret, const bson_t *doc, const char *path);
/* Or null. */
void uuid_append(bson_t *doc, const char *name, const struct uuid *uuid);

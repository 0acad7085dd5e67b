#include "common/mongo/uuid.h"

#include <string.h>

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    if (a->known != b->known)
        return false;
    return !a->known || memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void uuid_read(struct uuid *ret, const bson_t *doc, const char *path)
{
    bson_iter_t it, at;
    uint32_t len;
    const uint8_t *data;

    *ret = (struct uuid){0};
    if (!bson_iter_init(&it, doc) || !bson_iter_find_descendant(&it, path, &at) ||
        !BSON_ITER_HOLDS_BINARY(&at))
        return;
    bson_iter_binary(&at, NULL, &len, &data);
    if (len != sizeof(ret->bytes))
        return;
    ret->known = true;
    memcpy(ret->bytes, data, len);
}

void uuid_append(bson_t *doc, const char *name, const struct uuid *uuid)
{
    if (uuid->known)
        BSON_APPEND_BINARY(doc, name, BSON_SUBTYPE_UUID, uuid->bytes, sizeof(uuid->bytes));
    else
        BSON_APPEND_NULL(doc, name);
}

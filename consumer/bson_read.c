#include "consumer/bson_read.h"

#include <stdio.h>
#include <string.h>

int64_t bson_read_int64(const bson_t *doc, const char *name, int64_t otherwise)
{
    bson_iter_t it;

    if (bson_iter_init_find(&it, doc, name) &&
        (BSON_ITER_HOLDS_INT(&it) || BSON_ITER_HOLDS_DOUBLE(&it)))
        return bson_iter_as_int64(&it);
    return otherwise;
}

void bson_read_text(char *ret, const bson_t *doc, const char *name)
{
    bson_iter_t it;

    ret[0] = '\0';
    if (bson_iter_init_find(&it, doc, name) && BSON_ITER_HOLDS_UTF8(&it))
        snprintf(ret, POSITION_TEXT_MAX, "%s", bson_iter_utf8(&it, NULL));
}

static bool find(bson_iter_t *ret, const bson_t *doc, const char *path)
{
    bson_iter_t it;

    return bson_iter_init(&it, doc) && bson_iter_find_descendant(&it, path, ret);
}

void bson_read_uuid(struct uuid *ret, const bson_t *doc, const char *path)
{
    bson_iter_t it;
    bson_subtype_t subtype;
    uint32_t len;
    const uint8_t *data;

    *ret = (struct uuid){0};
    if (!find(&it, doc, path) || !BSON_ITER_HOLDS_BINARY(&it))
        return;
    bson_iter_binary(&it, &subtype, &len, &data);
    if (len != sizeof(ret->bytes))
        return;
    ret->known = true;
    memcpy(ret->bytes, data, len);
}

bool bson_read_document(bson_t *ret, const bson_t *doc, const char *path)
{
    bson_iter_t it;
    uint32_t len;
    const uint8_t *data;

    if (!find(&it, doc, path) || !BSON_ITER_HOLDS_DOCUMENT(&it))
        return false;
    bson_iter_document(&it, &len, &data);
    return bson_init_static(ret, data, len);
}

void append_uuid(bson_t *doc, const char *name, const struct uuid *uuid)
{
    if (uuid->known)
        BSON_APPEND_BINARY(doc, name, BSON_SUBTYPE_UUID, uuid->bytes, sizeof(uuid->bytes));
    else
        BSON_APPEND_NULL(doc, name);
}

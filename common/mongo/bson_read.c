#include "common/mongo/bson_read.h"

#include <stdio.h>

static bool find(bson_iter_t *ret, const bson_t *doc, const char *path)
{
    bson_iter_t it;

    return bson_iter_init(&it, doc) && bson_iter_find_descendant(&it, path, ret);
}

int64_t bson_read_int64(const bson_t *doc, const char *path, int64_t otherwise)
{
    bson_iter_t it;

    return find(&it, doc, path) && BSON_ITER_HOLDS_NUMBER(&it) ? bson_iter_as_int64(&it)
                                                               : otherwise;
}

bool bson_read_bool(const bson_t *doc, const char *path)
{
    bson_iter_t it;

    return find(&it, doc, path) && bson_iter_as_bool(&it);
}

void bson_read_text(char *ret, size_t size, const bson_t *doc, const char *path)
{
    bson_iter_t it;
    bool there = find(&it, doc, path) && BSON_ITER_HOLDS_UTF8(&it);

    snprintf(ret, size, "%s", there ? bson_iter_utf8(&it, NULL) : "");
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

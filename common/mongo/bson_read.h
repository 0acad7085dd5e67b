/* common/mongo/bson_read.h - members of small documents that the target holds or answers, by dotted
 * paths. Pure. */
#pragma once

#include <bson/bson.h>

int64_t bson_read_int64(const bson_t *doc, const char *path, int64_t otherwise);
/* False too when absent. */
bool bson_read_bool(const bson_t *doc, const char *path);
/* Cut to size bytes; "" when absent or no string. */
void bson_read_text(char *ret, size_t size, const bson_t *doc, const char *path);
/* A view into doc, so without bson_destroy; false: absent, *ret is untouched. */
bool bson_read_document(bson_t *ret, const bson_t *doc, const char *path);

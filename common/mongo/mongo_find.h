/* common/mongo/mongo_find.h - a few documents, found with one command and read from its answer.
 *
 * For what fits into one answer. Documents are views of the reply, valid as long as it is. Of
 * one thread, as its struct mongo. */
#pragma once

#include "common/mongo/mongo.h"

/* At most count documents that match the filter. As mongo_read: the caller destroys reply. */
enum mongo_result mongo_find(struct mongo *m, const char *collection, const bson_t *filter,
                             int32_t count, bson_t *reply, struct error *err);
/* One of them, for the caller to destroy; NULL: there is none. */
int mongo_find_one(bson_t **ret, struct mongo *m, const char *collection, const bson_t *filter,
                   struct error *err);

/* The documents of a find's answer, or of any other with a cursor:
 *     if (mongo_find_begin(&it, &reply))
 *         while (mongo_find_next(&it, &doc))
 * begin is false when there is no cursor in it. */
bool mongo_find_begin(bson_iter_t *ret, const bson_t *reply);
bool mongo_find_next(bson_iter_t *it, bson_t *ret);
/* The first one; false: none. */
bool mongo_find_first(bson_t *ret, const bson_t *reply);

/* fullcheck/mongo_side.h - what is read from MongoDB: documents, how many, which index.
 *
 * From the primary. Each call is one try, of one thread: ERR_RETRY, or ERR_FATAL for a missing
 * right. */
#pragma once

#include "common/mongo/mongo_find.h"

/* What each() saw of a failed try is to be forgotten. */
int mongo_side_find(struct mongo *mongo, const struct mongo_find_all *find, struct error *err);

/* How many documents the server says there are, without reading them. A collection that is not
 * there has none. */
int mongo_side_count(int64_t *ret, struct mongo *mongo, const char *collection,
                     struct error *err);

/* Is there a unique index on just these paths, in this order? second NULL: on one. */
int mongo_side_has_unique_index(bool *ret, struct mongo *mongo, const char *collection,
                                const char *first, const char *second, struct error *err);

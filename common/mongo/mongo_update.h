/* common/mongo/mongo_update.h - single documents changed by compare-and-set.
 *
 * An upsert that loses the race against another's of the same document (a duplicate key)
 * matches nothing and is no error: what is there now is to be read. A statement that was broken
 * off is MONGO_UNKNOWN, any other refused one MONGO_AGAIN, answered no. Of one thread, as its
 * struct mongo. */
#pragma once

#include "common/mongo/mongo.h"

/* statements: an array of {q, u, upsert}, in any order. *matched: how many documents matched or
 * were made; only set with MONGO_DONE. */
enum mongo_result mongo_update(struct mongo *m, const char *collection,
                               const bson_t *statements, int64_t *matched, struct error *err);
/* One statement; *matched (may be NULL): was there such a document, or was it made? */
enum mongo_result mongo_update_one(struct mongo *m, const char *collection, const bson_t *query,
                                   const bson_t *change, bool upsert, bool *matched,
                                   struct error *err);

/* common/mongo/mongo_find.h - finding documents: a few, with one command and from its answer,
 * or any number, one after another.
 *
 * Of what fits into one answer, documents are views of the reply, valid as long as it is. Of
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

/* The names of all collections of the target's database; false ends it. */
int mongo_find_collections(struct mongo *m, bool (*each)(void *arg, const char *name),
                           void *arg, struct error *err);

struct mongo_find_all {
    const char *collection;
    const bson_t *filter;                            /* NULL: everything */
    const bson_t *projection;                        /* NULL or empty: whole documents */
    int64_t batch;                                   /* of one answer; 0: as the server likes */
    bool (*each)(void *arg, const bson_t *document); /* false ends it */
    void *arg;
};

/* From the primary, in the server's order. MONGO_AGAIN: it was cut off, after any number of
 * documents. */
enum mongo_result mongo_find_all(struct mongo *m, const struct mongo_find_all *find,
                                 struct error *err);

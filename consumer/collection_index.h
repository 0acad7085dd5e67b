/* consumer/collection_index.h - the indexes of a collection: those that applying needs, and any
 * other one. As collection.h says. */
#pragma once

#include "consumer/collection.h"

struct collection_index {
    const bson_t *keys;
    const char *name;
    bool unique;
};

/* Is there an index that applying wants? */
bool collection_index_is_wanted(const struct mongo *m, const struct collection *coll);
/* Are all of them there? (One that is being built counts as there for MongoDB;
 * collection_index_build waits for it.) */
int collection_index_look(bool *ret, struct mongo *m, const struct collection *coll,
                          struct error *err);
/* Makes the missing ones. *doubled: documents that share a key stand in the way of the unique
 * one. Long. */
int collection_index_build(bool *doubled, struct mongo *m, const struct collection *coll,
                           struct error *err);

/* {"pk":1}, or {"pk":"hashed"} for sharding, under the name where the partition key is stored.
 * The caller destroys it. */
void collection_index_partition_key(bson_t *ret, const struct converter *converter,
                                    bool hashed);

/* The reply of listIndexes, to be destroyed in every case. */
enum mongo_result collection_index_list(struct mongo *m, const char *collection, bson_t *reply,
                                        struct error *err);
/* Is there one with these keys, in this order? Uniqueness is more than was wanted. */
bool collection_index_is_listed(const bson_t *reply, const struct collection_index *index);
/* *code: of an answer that said no, else 0. Does nothing for one that is there. Long. */
enum mongo_result collection_index_create(struct mongo *m, const char *collection,
                                          const struct collection_index *index, int32_t *code,
                                          struct error *err);

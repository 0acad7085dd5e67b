/* consumer/collection.h - a table's collection as it stands in MongoDB: looked at, made,
 * indexed, sharded, moved away.
 *
 * Each function is one or a few commands, safe to be done twice. -1: mongo->answered_no tells
 * an outage from a refusal; ERR_FATAL without a code is a clear state that someone has to act
 * on. Any thread with a struct mongo of its own; those that may take long want a patient one.
 */
#pragma once

#include "common/mongo/mongo.h"
#include "consumer/convert.h"
#include "consumer/position.h"

struct collection {
    const char *name;
    const struct converter *converter;
    bool want_index; /* full.enable_index.primary */
};

struct collection_found {
    bool exists;
    struct uuid uuid;
    const char *unfit; /* what is wrong with it: "it is a view"; NULL: can be applied to */
    bool can_be_renamed;
};

int collection_look(struct mongo *m, const char *name, struct collection_found *ret,
                    struct error *err);
/* Are all wanted indexes there? (One that is being built counts as there for MongoDB;
 * collection_index waits for it.) */
int collection_indexed(struct mongo *m, const struct collection *c, bool *ret,
                       struct error *err);
/* Is there anything that collection_index would make? */
bool collection_wants_indexes(const struct mongo *m, const struct collection *c);
int collection_create(struct mongo *m, const char *name, struct error *err);
/* Makes the missing indexes. *doubled: documents that share a key stand in the way of the
 * unique one. Long. */
int collection_index(struct mongo *m, const struct collection *c, bool *doubled,
                     struct error *err);
/* Deletes all but one document of each key: those with the lower _id, so that two who do it at
 * once never delete both. Documents without the whole key are the user's own and stay. Long. */
int collection_delete_doubles(struct mongo *m, const struct collection *c, struct error *err);
/* enableSharding and shardCollection, hashed on the partition key. Long. */
int collection_shard(struct mongo *m, const struct collection *c, struct error *err);
/* Long. */
int collection_drop(struct mongo *m, const char *name, struct error *err);
/* To <name>:before:<generation>, never over something: then with :2, :3 ... behind it. */
int collection_rename(struct mongo *m, const char *name, int64_t generation, struct error *err);

/* ---- indexes in general ---- */

struct index_wanted {
    const bson_t *keys;
    const char *name;
    bool unique;
};
/* The reply of listIndexes, to be destroyed in every case. */
enum mongo_result index_list(struct mongo *m, const char *collection, bson_t *reply,
                             struct error *err);
/* Is there one with these keys, in this order? Uniqueness is more than was wanted. */
bool index_is_listed(const bson_t *reply, const struct index_wanted *w);
/* MONGO_REFUSED or MONGO_AGAIN with *code when it was answered no. */
enum mongo_result index_create(struct mongo *m, const char *collection,
                               const struct index_wanted *w, int32_t *code, struct error *err);
/* {"pk.S":1,"sk.N":1} or {"pk":1,"sk":1}; destroy it. */
void index_key_pattern(bson_t *ret, const struct converter *c);

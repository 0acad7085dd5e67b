/* consumer/collection.h - a table's collection as it stands in MongoDB: looked at, made,
 * indexed, sharded, moved away.
 *
 * Each function is one or a few commands, safe to be done twice. -1 with ERR_RETRY (an outage:
 * later) or ERR_FATAL (refused: the table can't be used until someone acts). Any thread with a
 * struct mongo of its own. */
#pragma once

#include "common/mongo.h"
#include "consumer/convert.h"
#include "consumer/position.h"

struct collection {
    const char *name;
    const struct converter *converter;
    bool want_index; /* full.enable_index.primary */
};

int collection_look(struct mongo *m, const char *name, bool *exists, struct uuid *uuid,
                    struct error *err);
/* Are all wanted indexes there? */
int collection_indexed(struct mongo *m, const struct collection *c, bool *ret,
                       struct error *err);
int collection_create(struct mongo *m, const char *name, struct error *err);
/* Makes the missing indexes. Documents that share a key stand in the way of the unique one: all
 * but one of each key are deleted, and *doubled is set: which one was the newest is not known,
 * so the log must be applied again from the begin. */
int collection_index(struct mongo *m, const struct collection *c, bool *doubled,
                     struct error *err);
/* enableSharding and shardCollection, hashed on the partition key. */
int collection_shard(struct mongo *m, const struct collection *c, struct error *err);
int collection_drop(struct mongo *m, const char *name, struct error *err);
/* To <name>:before:<generation>, never over something: then with :2, :3 ... behind it. */
int collection_rename(struct mongo *m, const char *name, int64_t generation, struct error *err);

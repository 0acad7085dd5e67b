/* consumer/collection.h - a table's collection as it stands in MongoDB: looked at, made, moved
 * away. Indexes, copies of a key and sharding are in collection_*.h.
 *
 * Of all of them: each function is one or a few commands, safe to be done twice. -1:
 * mongo->answered_no tells an outage from a refusal; ERR_FATAL without a code halts the table:
 * someone has to act. Any thread with a struct mongo of its own; those that may take long want
 * a patient one. */
#pragma once

#include "common/mongo/mongo.h"
#include "consumer/converter.h"
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

int collection_look(struct collection_found *ret, struct mongo *m, const char *name,
                    struct error *err);
int collection_create(struct mongo *m, const char *name, struct error *err);
/* Long. */
int collection_drop(struct mongo *m, const char *name, struct error *err);
/* To <name>:before:<generation>, never over something: then with :2, :3 ... behind it. */
int collection_rename(struct mongo *m, const char *name, int64_t generation, struct error *err);

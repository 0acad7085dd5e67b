/* consumer/checkpoint_store.h - collections of checkpoint.db made to hold what they should, and
 * nothing else of ours.
 *
 * What is there is read and compared, so documents that somebody removed, or that a consumer
 * wrote late, are put right. A collection with any document that is not ours belongs to someone
 * else (NimoShake): there our own are removed, and nothing is written.
 *
 * Short commands with a time limit, safe to be done twice. Of one thread with a struct mongo of
 * its own, whose database is checkpoint.db. */
#pragma once

#include <stddef.h>

#include "common/mongo/mongo.h"

enum checkpoint_outcome {
    CHECKPOINT_HELD,    /* the collection holds the documents */
    CHECKPOINT_FOREIGN, /* it is another's */
    CHECKPOINT_FAILED,  /* err says why; mongo->answered_no tells a refusal from an outage */
};

struct checkpoint_collection {
    const char *name;
    const char *mark;
    bson_t *const *docs; /* with different ids */
    size_t count;
};

enum checkpoint_outcome
checkpoint_store_put(struct mongo *m, const struct checkpoint_collection *c, struct error *err);
/* Removes our documents from every collection that is not wanted, and the collection when that
 * leaves it empty. */
int checkpoint_store_clean(struct mongo *m, const char *mark,
                           bool (*wanted)(void *arg, const char *collection), void *arg,
                           struct error *err);

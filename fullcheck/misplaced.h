/* fullcheck/misplaced.h - documents whose _id is not the one of their key (target.id = key).
 *
 * They can't be found by their key, so they are remembered when all keys are read. Filled by
 * one thread, then read by all. */
#pragma once

#include <bson/bson.h>
#include <uthash.h>

#include "common/base/bytes.h"

struct misplaced_key {
    char *text;
    size_t len;
    bson_t **ids; /* documents with the one member _id */
    size_t count;
    UT_hash_handle hh;
};

struct misplaced {
    struct misplaced_key *by_text;
    size_t documents;
    size_t bytes; /* of the _ids */
};

void misplaced_release(struct misplaced *m);
/* false: there are more than can be remembered. */
bool misplaced_add(struct misplaced *m, struct bytes key, const bson_t *document);
const struct misplaced_key *misplaced_find(const struct misplaced *m, struct bytes key);

/* fullcheck/recheck_internal.h - what recheck.c and recheck_read.c share: the keys of one look,
 * and what both ends have of them.
 *
 * Of one thread. Items are slices of the answer, documents are in the worker's arena: both stay
 * until the look is over. */
#pragma once

#include "fullcheck/check.h"

struct found_document {
    const struct canon *map;
    const uint8_t *bson; /* in the arena */
    size_t len;
    struct found_document *next;
};

struct subject {
    struct pending_key *k;
    const struct canon *key;
    struct bytes json; /* the item; empty: there is none */
    const struct canon *item;
    struct found_document *documents;
    size_t document_count;
    bool unprocessed;
    UT_hash_handle hh;
};

struct recheck {
    struct worker *w;
    struct table_check *t;
    struct subject subjects[DDB_ITEMS_AT_MOST];
    size_t count;
    struct subject *by_key;
    struct buf text;
    struct ddb_side_items items;
};

/* Reads both ends anew. On failure nothing of it is to be used. */
int recheck_read(struct recheck *l, struct pending_key **keys, size_t count, struct error *err);
/* ret is a view of it. */
void recheck_read_bson(bson_t *ret, const struct found_document *d);

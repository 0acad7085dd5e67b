/* fullcheck/pairs.h - some keys of a table, and what each end has of them.
 *
 * Pairs are made of items that were read already, or of keys whose items are read here; then
 * the documents of all of them are found. What is allocated is in the worker's arena, so that a
 * thread has one set of pairs at a time. */
#pragma once

#include "fullcheck/compare.h"
#include "fullcheck/table_check.h"

#define PAIRS_AT_MOST 1000

struct pair_document {
    const struct canon *map;
    const uint8_t *bson; /* in the arena */
    size_t len;
    struct pair_document *next;
};

struct pair {
    struct bytes key;            /* canonical text */
    const struct canon *key_map; /* has the key's attributes, and maybe others */
    struct pending_key *entry;   /* NULL: the pair was made of an item */
    struct bytes json;           /* of the item: a slice of the answer */
    const struct canon *item;    /* NULL: there is none */
    bool unprocessed;            /* the service left the key out: item says nothing */
    size_t document_count;
    struct pair_document *documents; /* some of them at least, when they are kept */
    bool equal;                      /* for each_document */
    UT_hash_handle hh;
};

struct pairs {
    struct worker *worker;
    struct table_check *table;
    /* Gets each document of a key, with a map that is borrowed, and counts it. NULL: documents
     * are counted and kept. */
    void (*each_document)(struct pairs *pairs, struct pair *pair, enum key_place place,
                          const struct canon *map);
    struct pair *all;
    size_t count;
    struct pair *by_key;
    struct ddb_side_items items;
    struct buf text; /* for a while; the caller's between two calls */
};

/* room: of how many pairs, up to PAIRS_AT_MOST. each_document is the caller's to set. */
void pairs_init(struct pairs *pairs, struct worker *w, size_t room);
/* {0} is fine. */
void pairs_release(struct pairs *pairs);
/* No pairs; the arena is empty. */
void pairs_reset(struct pairs *pairs);

/* An item that is there already is not added again. */
int pairs_add_item(struct pairs *pairs, struct bytes json, struct error *err);
int pairs_add_key(struct pairs *pairs, struct pending_key *entry, struct error *err);
/* The items of added keys, up to DDB_ITEMS_AT_MOST. */
int pairs_get_items(struct pairs *pairs, struct error *err);
/* The documents of all keys, and those that the other filter finds; NULL: there is no other.
 * On failure (also when the check has ended) nothing of it is to be used. */
int pairs_find_documents(struct pairs *pairs, const bson_t *other, struct error *err);

/* How items and documents are compared; its arg is the pairs. */
struct compare pairs_compare(struct pairs *pairs);
/* ret is a view of it. */
void pairs_bson(bson_t *ret, const struct pair_document *document);

/* fullcheck/ddb_side.h - what is read from DynamoDB: scan pages and items by key.
 *
 * Strongly consistent, within the rate and the memory budget, tried again while
 * retry_limit_ms allows. Of one thread each. */
#pragma once

#include "common/dynamodb/ddb_items.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/throttle.h"

struct ddb_side {
    struct ddb_client *client;
    struct throttle *throttle;
    int64_t retry_limit_ms;
    size_t expected; /* bytes of the next answer, by the last one */
    size_t keys;     /* ddb_side_keys; 0: nothing is known yet */
    /* Told how many items ddb_side_count has counted, with each page; NULL: nobody is. */
    void (*counted)(void *arg, int64_t items);
    void *arg;
};

struct ddb_side_answer {
    struct http_answer http;
    struct ddb_side *side; /* NULL: nothing is held of its budget */
    size_t held;
};

void ddb_side_release(struct ddb_side_answer *answer);

/* A page's items with slices of the answer. */
struct ddb_side_page {
    struct ddb_side_answer answer;
    struct bytes *items; /* JSON */
    size_t count;
    struct bytes last; /* LastEvaluatedKey; empty: that was the last page */
};

int ddb_side_page(struct ddb_side_page *ret, struct ddb_side *side, const struct ddb_scan *scan,
                  const struct key_schema *schema, struct error *err);
void ddb_side_page_release(struct ddb_side_page *page);

/* How many items to ask for at once, up to DDB_ITEMS_AT_MOST: fewer where items are large, so
 * that an answer stays at some megabytes. */
size_t ddb_side_keys(const struct ddb_side *side);

/* Up to DDB_ITEMS_AT_MOST items by canonical keys. Only the first `asked` of them were asked
 * for: an answer to all of them did not come through. What the service left out is in
 * `unprocessed`, as JSON. */
struct ddb_side_items {
    struct ddb_side_answer answer;
    size_t asked;
    struct bytes items[DDB_ITEMS_AT_MOST];
    size_t count;
    struct bytes unprocessed[DDB_ITEMS_AT_MOST];
    size_t unprocessed_count;
};

int ddb_side_items(struct ddb_side_items *ret, struct ddb_side *side, const char *table,
                   const struct key_schema *schema, const struct bytes *keys, size_t count,
                   struct error *err);

/* Counts a segment from the start to its end. */
int ddb_side_count(int64_t *ret, struct ddb_side *side, const char *table, int64_t segment,
                   int64_t segments, struct error *err);

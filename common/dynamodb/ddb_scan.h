/* common/dynamodb/ddb_scan.h - one page of a Scan: items and how many there are.
 *
 * Always strongly consistent, as the barrier needs it. Errors as in ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"
#include "common/item/ddb_item.h"

struct ddb_scan {
    const char *table;
    int64_t segment;
    int64_t total_segments;
    struct bytes start_key; /* ExclusiveStartKey as JSON; empty: from the start */
    int64_t limit;          /* 0: whole 1 MB pages */
    bool count;             /* only how many: ddb_scan_count reads the answer */
    bool consumed;          /* the answer tells what it took of the table's capacity */
};
int ddb_scan_page(struct http_answer *ret, struct ddb_client *client,
                  const struct ddb_scan *scan, struct error *err);

struct ddb_scan_end {
    struct bytes last;      /* the LastEvaluatedKey object; empty at the end */
    int64_t consumed_milli; /* thousandths of read units; -1: the answer does not tell */
};
/* Calls each() for every item of a Scan answer in order, with slices of the answer; stops when
 * it returns -1. One pass, after which *ret is filled. ERR_RETRY for an answer that is not such
 * JSON (a cut one), before or after some calls of each(). */
int ddb_scan_read(struct bytes answer, const struct key_schema *schema,
                  int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                  void *arg, struct ddb_scan_end *ret, struct error *err);
/* The same, when only the last key counts. */
int ddb_scan_items(struct bytes answer, const struct key_schema *schema,
                   int (*each)(void *arg, const struct ddb_item *item, struct error *err),
                   void *arg, struct bytes *ret_last, struct error *err);
/* Reads the answer of a page that was to be counted. ERR_RETRY as above. */
int ddb_scan_count(struct bytes answer, int64_t *ret_count, struct bytes *ret_last,
                   struct error *err);

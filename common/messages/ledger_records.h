/* common/messages/ledger_records.h - the newest value of every ledger key, found by its kind
 * and table.
 *
 * Costs of a look are those of one kind (of segments and shards: of one table), whatever else
 * the ledger has. Pure; slices are good until the next put. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/bytes.h"

/* The records of one kind; of segments and shards those of one table. */
struct record_group {
    char *name; /* what their keys begin with, to the last slash */
    struct ledger_record *first, **last;
    UT_hash_handle hh;
};

struct ledger_record {
    char *key;
    char *value;
    size_t value_len;
    int32_t partition;
    struct record_group *group;
    struct ledger_record *next, **at; /* in the group */
    UT_hash_handle hh;
};

struct ledger_records { /* zeroed: none */
    struct ledger_record *records;
    struct record_group *groups;
    uint64_t places_version; /* ledger_cache_places_version says when it grows */
};

/* A value without bytes (p is NULL) is a tombstone: it removes the key, if the key's record is
 * of the same partition. */
void ledger_records_put(struct ledger_records *records, struct bytes key, struct bytes value,
                        int32_t partition);
/* *ret untouched when there is none. */
bool ledger_records_get(struct bytes *ret, const struct ledger_records *records,
                        const char *key);
/* ledger_cache_each says what for. */
void ledger_records_each(const struct ledger_records *records, const char *prefix,
                         void (*each)(void *arg, struct bytes rest, struct bytes value,
                                      int32_t partition),
                         void *arg);
void ledger_records_release(struct ledger_records *records);

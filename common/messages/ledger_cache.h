/* common/messages/ledger_cache.h - the newest value of every ledger key, kept up to date by a
 * thread of its own.
 *
 * The thread reads the whole topic (read_committed) from its beginning. Any thread may ask;
 * answers are copies. */
#pragma once

#include "common/config/config.h"
#include "common/messages/ledger.h"

struct ledger_cache;

int ledger_cache_new(struct ledger_cache **ret, const struct config *c, struct error *err);
/* The same, and all of the topic was read: tried for start.timeout. ERR_FATAL 69; ERR_RETRY at
 * a stop. */
int ledger_cache_open(struct ledger_cache **ret, const struct config *c, struct error *err);
void ledger_cache_free(struct ledger_cache *l);
DEFINE_FREEP(struct ledger_cache, ledger_cache_freep, ledger_cache_free)

/* Waits until everything committed before the call was read, in all partitions; ERR_RETRY after
 * timeout. */
int ledger_cache_sync(struct ledger_cache *l, int64_t timeout_ms, struct error *err);
/* The same for one partition up to an offset (a high watermark asked for with
 * read_uncommitted). */
int ledger_cache_sync_to(struct ledger_cache *l, int32_t partition, int64_t offset,
                         int64_t timeout_ms, struct error *err);
int32_t ledger_cache_partitions(const struct ledger_cache *l);
/* Grows with each record read: a change to wait for. */
uint64_t ledger_cache_version(struct ledger_cache *l);
/* Grows with each change of where tables are and who carries them: records of place/, carrier/
 * and source that are not what they were. */
uint64_t ledger_cache_places_version(struct ledger_cache *l);
/* From now on the part "ledger" of /healthz is stuck when the topic was not seen to be read to
 * its end, and nothing of it was read, for so long. Once, before others use the cache. */
void ledger_cache_watch(struct ledger_cache *l, int64_t limit_ms);

/* The value of one key; NULL: none. The caller frees. */
char *ledger_cache_value(struct ledger_cache *l, const char *key);

/* 1: found, copied into ret (the caller releases); 0: there is no such record; -1: it can't be
 * read. */
int ledger_cache_table(struct ledger_cache *l, const char *table, struct ledger_table *ret,
                       struct error *err);
/* Calls each for every record whose key begins with prefix: "place/", "table/", "carrier/",
 * "segment/<table>/" or "shard/<table>/", or one of these and more of the key. Those of one
 * ledger partition in the order in which their keys came first; under the cache's lock: each
 * only looks or copies. The key's rest after prefix is given. Costs what the kind (of that
 * table) has, not what the ledger has. */
void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg);

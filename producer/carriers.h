/* producer/carriers.h - which tables the owners of the ledger's partitions carry, by the
 * filters that they recorded in the ledger.
 *
 * An owner records its filters when it opens a partition, so that a table is placed in a
 * partition whose owner carries it. Without a record the owner has no filters, or there has
 * been no owner yet. Of one thread. */
#pragma once

#include "common/messages/ledger_cache.h"

struct carriers;

struct carriers *carriers_read(struct ledger_cache *cache, const struct config *c);
void carriers_free(struct carriers *carriers);
/* There is a record. */
DEFINE_FREEP(struct carriers, carriers_freep, carriers_free)

bool carriers_known(const struct carriers *carriers, int32_t partition);
/* Does the partition's owner carry the table? True without a record. */
bool carriers_want(const struct carriers *carriers, int32_t partition, const char *table);
/* Does any owner that has a record carry it? */
bool carriers_any_wants(const struct carriers *carriers, const char *table);
/* Our filters are recorded; without filters no record is needed. */
bool carriers_are_ours(const struct carriers *carriers, int32_t partition);
/* Do we have any filters? */
bool carriers_filter(const struct config *c);
/* The value of our record. */
void carriers_encode(struct buf *out, const struct config *c);

/* producer/carriers.h - what the owners of the ledger's partitions carry, by their filters, as
 * the ledger says it.
 *
 * Each owner records its filters when it opens a partition, so that whoever places tables
 * chooses a partition whose owner carries the table. No record: an owner without filters, or
 * none yet. Of one thread. */
#pragma once

#include "common/messages/ledger_cache.h"

struct carriers;

struct carriers *carriers_read(struct ledger_cache *cache, const struct config *c);
void carriers_free(struct carriers *k);
DEFINE_FREEP(struct carriers, carriers_freep, carriers_free)

bool carriers_known(const struct carriers *k, int32_t partition); /* there is a record */
/* Does the partition's owner carry the table? True without a record. */
bool carriers_want(const struct carriers *k, int32_t partition, const char *table);
/* Does any owner that has a record carry it? */
bool carriers_any_wants(const struct carriers *k, const char *table);
/* The record says what our filters say; without filters none is needed. */
bool carriers_are_ours(const struct carriers *k, int32_t partition);
/* Have we any filters? */
bool carriers_filter(const struct config *c);
/* The value of our record. */
void carriers_encode(struct buf *out, const struct config *c);

/* producer/log_search.h - looks into a data topic for what the ledger does not know.
 *
 * Both calls read the topic for as long as it takes, with a consumer of their own. ERR_RETRY.
 */
#pragma once

#include <stdint.h>

#include "common/config.h"
#include "common/error.h"

/* The greatest generation in the headers of each partition's newest records; 0: the topic is
 * empty. */
int log_search_generation(int64_t *ret, const struct config *c, const char *topic,
                          int32_t partitions, struct error *err);

/* The offset of the snapshot-begin of a generation in every partition, looked for from a time
 * on. ERR_DATA: a partition has none. */
int log_search_begin(int64_t *ret_offsets, const struct config *c, const char *topic,
                     int32_t partitions, int64_t generation, int64_t from_ms,
                     struct error *err);

/* producer/topic_search.h - looks into a data topic for what the ledger does not know.
 *
 * Each call reads the topic with a consumer of its own, for as long as it takes. ERR_RETRY. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"

/* The greatest generation in the headers of the partitions' newest records; 0: the topic is
 * empty. */
int topic_search_generation(int64_t *ret, const struct config *c, const char *topic,
                            int32_t partitions, struct error *err);

/* Is the topic still the one that the ledger knows? True when the snapshot-begin of the
 * generation stands at its offsets (begin_offsets, one per partition), or retention took it;
 * false when the topic was made anew or lost its end. */
int topic_search_is_same(bool *ret, const struct config *c, const char *topic,
                         int32_t partitions, const int64_t *begin_offsets, int64_t generation,
                         const char *log_id, struct error *err);

/* The offset of a generation's snapshot-begin in every partition, looked for from a time on.
 * ERR_DATA: a partition has none. */
int topic_search_begin(int64_t *ret_offsets, const struct config *c, const char *topic,
                       int32_t partitions, int64_t generation, int64_t from_ms,
                       struct error *err);

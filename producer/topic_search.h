/* producer/topic_search.h - looks into a data topic for what the ledger does not know.
 *
 * Both calls read the topic for as long as it takes, with a consumer of their own. ERR_RETRY.
 */
#pragma once

#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"

/* The greatest generation in the headers of each partition's newest records; 0: the topic is
 * empty. */
int topic_search_generation(int64_t *ret, const struct config *c, const char *topic,
                            int32_t partitions, struct error *err);

enum topic_identity {
    TOPIC_SAME,   /* the begin stands there, or retention took it */
    TOPIC_ANOTHER /* it does not: the topic was made anew, or lost its end */
};

/* Is the topic still the log that the ledger knows? begin_offsets: of its generation. */
int topic_search_identity(enum topic_identity *ret, const struct config *c, const char *topic,
                          int32_t partitions, const int64_t *begin_offsets, int64_t generation,
                          const char *log_id, struct error *err);

/* The offset of the snapshot-begin of a generation in every partition, looked for from a time
 * on. ERR_DATA: a partition has none. */
int topic_search_begin(int64_t *ret_offsets, const struct config *c, const char *topic,
                       int32_t partitions, int64_t generation, int64_t from_ms,
                       struct error *err);

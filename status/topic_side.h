/* status/topic_side.h - the data topics: where they end, and since when their first record that
 * is not applied waits. Of the main thread. */
#pragma once

#include "common/kafka/kafka.h"
#include "status/bridge.h"

struct topic_side_handles {
    rd_kafka_t *committed; /* of kafka_ranges_handle: reads what is committed */
    rd_kafka_t *all;       /* sees open transactions too (read_uncommitted) */
};
int topic_side_handles_new(struct topic_side_handles *ret, const struct config *config,
                           struct error *err);
void topic_side_handles_release(struct topic_side_handles *handles);
/* Fills the ends. Before they are asked for the positions should have been read: then nothing
 * counts as applied that was appended later. */
void topic_side_read_ends(struct bridge *bridge, const struct topic_side_handles *handles,
                          int64_t timeout_ms);
/* After positions and ends; rk is of kafka_ranges_handle. Fills first and waits_ms. */
void topic_side_read_first(struct bridge *bridge, rd_kafka_t *rk, int64_t timeout_ms);

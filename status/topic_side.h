/* status/topic_side.h - the data topics: where they end, and since when their first record that
 * is not applied waits. Of the main thread. */
#pragma once

#include "common/kafka/kafka.h"
#include "status/bridge.h"

/* Fills the ends. Before they are asked for the positions should have been read: then nothing
 * counts as applied that was appended later. */
void topic_side_read_ends(struct bridge *bridge, rd_kafka_t *rk, int64_t timeout_ms);
/* After positions and ends; rk is of kafka_ranges_handle. Fills waits_ms. */
void topic_side_read_first(struct bridge *bridge, rd_kafka_t *rk, int64_t timeout_ms);

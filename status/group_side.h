/* status/group_side.h - who owns what: the members of the producers' and the consumers' group.
 * Of the main thread. */
#pragma once

#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "status/bridge.h"

/* Fills members, the producer of each table and the consumer of each partition. */
void group_side_read(struct bridge *bridge, rd_kafka_t *rk, const struct config *config,
                     int timeout_ms);

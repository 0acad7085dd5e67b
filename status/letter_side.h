/* status/letter_side.h - the dead letters that nobody has handled, by table and reason.
 *
 * The topic is read once; later looks read what has come since. Of the main thread. */
#pragma once

#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "status/bridge.h"

struct letter_side;

struct letter_side *letter_side_new(const struct config *config);
void letter_side_free(struct letter_side *letters);
/* rk is of kafka_ranges_handle. Fills the letters of the tables. */
void letter_side_read(struct letter_side *letters, struct bridge *bridge, rd_kafka_t *rk,
                      int64_t timeout_ms);

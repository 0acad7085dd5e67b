/* consumer/log_ends.h - where the logs of the assigned partitions end, as the brokers say.
 *
 * A thread asks for all of them at once every few seconds. So the lag is told of partitions
 * that nobody reads as well, an end that was seen can be proven to be the end, and that Kafka
 * answers is known (the part "kafka" of the health). Any thread may call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/kafka.h"
#include "consumer/dispatcher.h"
#include "consumer/tables.h"

struct log_ends;
struct log_ends_setup { /* borrowed */
    const struct config *config;
    rd_kafka_t *rk; /* read_committed */
    struct dispatcher *dispatcher;
    struct tables *tables;
};

struct log_ends *log_ends_new(const struct log_ends_setup *s);
/* false: it still waits for a broker after timeout_ms: nothing may be freed. */
bool log_ends_stop(struct log_ends *e, int64_t timeout_ms);
void log_ends_free(struct log_ends *e); /* after log_ends_stop; NULL is fine */

/* How long ago the brokers answered for all partitions. */
int64_t log_ends_age_ms(struct log_ends *e);
/* Records that are not applied yet, over all assigned partitions. */
int64_t log_ends_lag(struct log_ends *e);

/* consumer/end_offsets.h - where the logs of the assigned partitions end, as the brokers say.
 *
 * A thread asks for all of them at once every two seconds. So the lag is known of partitions
 * that are not read as well, an end that was seen can be proven to be the end, and it is
 * known whether Kafka answers (the part "kafka" of the health). Any thread may call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "consumer/dispatcher.h"
#include "consumer/tables.h"

struct end_offsets;

struct end_offsets_setup { /* borrowed */
    const struct config *config;
    rd_kafka_t *rk; /* read_committed */
    struct dispatcher *dispatcher;
    struct tables *tables;
    struct ledger_cache *ledger;
};

struct end_offsets *end_offsets_new(const struct end_offsets_setup *setup);
/* false: it still waits for a broker after timeout_ms: nothing may be freed. */
bool end_offsets_stop(struct end_offsets *ends, int64_t timeout_ms);
/* After end_offsets_stop; NULL is fine. */
void end_offsets_free(struct end_offsets *ends);

/* How long ago the brokers answered for all partitions. */
int64_t end_offsets_age_ms(struct end_offsets *ends);

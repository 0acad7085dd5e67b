/* consumer/retention.h - how long until retention takes what is not applied yet: a metric per
 * table, and warnings long before.
 *
 * Of the oldest record that a partition has to apply the time is searched for
 * (retention_search.h); a topic's own settings say how long it stays. Of a partition whose
 * position is not known, which waits for its table or for the target, the begin of its
 * generation counts. By size, Kafka tells less: then it is warned of when the position is among
 * the oldest records of a log that was cut already. Of the thread of end_offsets. */
#pragma once

#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "common/messages/ledger_cache.h"
#include "consumer/dispatcher.h"
#include "consumer/tables.h"

struct retention;

struct retention_setup { /* borrowed */
    const struct config *config;
    rd_kafka_t *rk; /* read_committed */
    struct dispatcher *dispatcher;
    struct tables *tables;
    struct ledger_cache *ledger;
};

struct retention *retention_new(const struct retention_setup *setup);
/* NULL is fine. */
void retention_free(struct retention *r);
/* Looks, if it is time. The ends are known (partition.log_end). */
void retention_look(struct retention *r);

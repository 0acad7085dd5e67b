/* consumer/retention_policy.h - what the brokers cut off a topic, and when.
 *
 * Its own settings, asked for now and then; where the brokers do not tell them,
 * topic.retention.ms. Of one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/kafka/kafka.h"

struct retention_policy { /* {0}: not known */
    int64_t keep_ms;      /* -1: whatever its age */
    bool by_size;         /* retention.bytes is set */
    int64_t asked_ms;     /* monotonic; 0: never */
};

bool retention_policy_is_due(const struct retention_policy *policy, int64_t now_ms);
/* An outage leaves what there is; false: it is one. */
bool retention_policy_ask(struct retention_policy *policy, rd_kafka_t *rk, const char *topic,
                          const struct config *config);

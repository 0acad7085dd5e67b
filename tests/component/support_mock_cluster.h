/* tests/component/support_mock_cluster.h - librdkafka's mock cluster: one broker, topics of one
 * partition each, and a configuration of the producer for it. */
#pragma once

#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h>

#include "common/config/config.h"

#define MOCK_PRODUCE_REQUEST 0

struct mock_cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *mock;
    struct config *config;
};

/* topics and sets (name=value) end with NULL. */
void mock_cluster_begin(struct mock_cluster *c, const char *const *topics,
                        const char *const *sets);
void mock_cluster_end(struct mock_cluster *c);

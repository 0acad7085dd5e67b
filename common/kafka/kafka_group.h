/* common/kafka/kafka_group.h - who is in a consumer group, and what each member has. */
#pragma once

#include "common/kafka/kafka.h"

struct kafka_group_member { /* borrowed until each returns */
    char name[256]; /* the instance.id that was set, else the client id and a part of the
                       member's own */
    const char *host;
    const rd_kafka_topic_partition_list_t *assigned; /* NULL: nothing, as in a rebalance */
};

/* A group that nobody is in has no member. ERR_RETRY within timeout_ms; ERR_FATAL 77. */
int kafka_group_each(rd_kafka_t *rk, const char *group, int timeout_ms,
                     void (*each)(void *arg, const struct kafka_group_member *member),
                     void *arg, struct error *err);

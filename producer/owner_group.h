/* producer/owner_group.h - the consumer group of all producers with one prefix: it spreads the
 * ledger's partitions over them.
 *
 * Nothing is read through it. Of the owner's thread. */
#pragma once

#include "common/run/health.h"
#include "producer/producer.h"

#define OWNER_GROUP_SESSION_MS 10000

struct owner_group {
    const struct producer *p;
    rd_kafka_t *rk;
    struct health *health; /* "group" */
    bool is_member;
    int64_t assigned_ms; /* the last rebalance; monotonic */
    /* The partitions that are ours from now on; NULL: none. */
    void (*assigned)(void *arg, const rd_kafka_topic_partition_list_t *partitions);
    void *arg;
};

/* p, assigned and arg are set. assigned is called by poll and leave. */
int owner_group_join(struct owner_group *group, struct error *err);
/* Waits for a moment. ERR_FATAL: fenced by another member with our instance.id (78), no right
 * to join (77). */
int owner_group_poll(struct owner_group *group, struct error *err);
/* Also when joining failed. */
void owner_group_leave(struct owner_group *group);

#include "status/group_side.h"

#include <stdlib.h>
#include <string.h>

#include "common/kafka/kafka_group.h"

struct reading {
    struct bridge *bridge;
    const char *role;
    const char *ledger; /* its topic */
};

static void add_member(struct reading *reading, const struct kafka_group_member *member)
{
    struct bridge *bridge = reading->bridge;

    bridge->members =
        xrealloc(bridge->members, (bridge->member_count + 1) * sizeof(*bridge->members));
    bridge->members[bridge->member_count++] = (struct bridge_member){
        .role = reading->role, .name = xstrdup(member->name), .host = xstrdup(member->host)};
}

static void take_producer(void *arg, const struct kafka_group_member *member)
{
    struct reading *reading = arg;
    const rd_kafka_topic_partition_list_t *list = member->assigned;

    add_member(reading, member);
    for (size_t i = 0; list && i < reading->bridge->count; i++) {
        struct bridge_table *table = &reading->bridge->tables[i];

        if (!table->producer &&
            rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)list,
                                               reading->ledger, table->place))
            table->producer = xstrdup(member->name);
    }
}

static void take_consumer(void *arg, const struct kafka_group_member *member)
{
    struct reading *reading = arg;
    const rd_kafka_topic_partition_list_t *list = member->assigned;

    add_member(reading, member);
    for (size_t i = 0; list && i < reading->bridge->count; i++) {
        struct bridge_table *table = &reading->bridge->tables[i];

        for (int n = 0; n < list->cnt; n++) {
            int32_t p = list->elems[n].partition;

            if (p < table->record.partitions && !table->partitions[p].consumer &&
                strcmp(list->elems[n].topic, table->record.topic) == 0)
                table->partitions[p].consumer = xstrdup(member->name);
        }
    }
}

void group_side_read(struct bridge *bridge, rd_kafka_t *rk, const struct config *config,
                     int timeout_ms)
{
    AUTO(free_charp) char *producers = kafka_producer_group(config);
    AUTO(free_charp) char *ledger = kafka_ledger_topic(config);
    struct reading reading = {.bridge = bridge, .role = "producer", .ledger = ledger};
    struct error err;

    bridge->producers_known =
        kafka_group_each(rk, producers, timeout_ms, take_producer, &reading, &err) == 0;
    if (!bridge->producers_known)
        bridge_not_read(bridge, "producers", err.message);
    reading.role = "consumer";
    bridge->consumers_known = kafka_group_each(rk, config_string(config, "consumer.group"),
                                               timeout_ms, take_consumer, &reading, &err) == 0;
    if (!bridge->consumers_known)
        bridge_not_read(bridge, "consumers", err.message);
}

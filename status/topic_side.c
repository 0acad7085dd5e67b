#include "status/topic_side.h"

#include <stdlib.h>
#include <string.h>

#include "common/kafka/kafka_ranges.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/event.h"
#include "status/applied.h"

/* ---- ends ---- */

static void handle_freep(rd_kafka_t **rk)
{
    if (!*rk)
        return;
    rd_kafka_consumer_close(*rk);
    rd_kafka_destroy(*rk);
    *rk = NULL;
}

int topic_side_handles_new(struct topic_side_handles *ret, const struct config *config,
                           struct error *err)
{
    static const struct kafka_setting settings[] = {{"group.id", "dynaferry-status"},
                                                    {"isolation.level", "read_uncommitted"},
                                                    {"enable.auto.commit", "false"},
                                                    {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_ranges_handle(&ret->committed, config, "status", err) < 0 ||
        kafka_conf_new(&conf, config, "status-ends", settings, err) < 0)
        return -1;
    return kafka_handle_new(&ret->all, RD_KAFKA_CONSUMER, &conf, err);
}

void topic_side_handles_release(struct topic_side_handles *handles)
{
    handle_freep(&handles->committed);
    handle_freep(&handles->all);
}

static void free_offsets(int64_t **p)
{
    free(*p);
}

static int read_ends_of(struct bridge_table *table, const struct topic_side_handles *handles,
                        int64_t timeout_ms, struct error *err)
{
    const char *topic = table->record.topic;
    int32_t count = table->record.partitions;
    AUTO(free_offsets) int64_t *offsets = xcalloc(3 * (size_t)count, sizeof(*offsets));
    int64_t *low = offsets, *end = low + count, *high = end + count;

    if (kafka_topic_begin_offsets(low, handles->committed, topic, 0, count, timeout_ms, err) <
            0 ||
        kafka_topic_end_offsets(end, handles->committed, topic, 0, count, timeout_ms, err) <
            0 ||
        kafka_topic_end_offsets(high, handles->all, topic, 0, count, timeout_ms, err) < 0)
        return -1;
    for (int32_t p = 0; p < count; p++) {
        table->partitions[p].low = low[p];
        table->partitions[p].end = end[p];
        table->partitions[p].high = high[p];
    }
    return 0;
}

void topic_side_read_ends(struct bridge *bridge, const struct topic_side_handles *handles,
                          int64_t timeout_ms)
{
    struct error err;

    for (size_t i = 0; i < bridge->count; i++)
        if (bridge->tables[i].record.partitions > 0 &&
            read_ends_of(&bridge->tables[i], handles, timeout_ms, &err) < 0)
            bridge_not_read(bridge, "topics", err.message);
}

/* ---- the first record that is not applied ---- */

struct firsts {
    struct bridge_partition **partitions; /* as the ranges */
    struct kafka_range *ranges;
    size_t count;
};

static bool take_first(void *arg, struct kafka_range *range, const rd_kafka_message_t *message)
{
    const struct firsts *firsts = arg;
    struct bridge_partition *partition = firsts->partitions[range - firsts->ranges];
    struct event event;
    struct error err;

    partition->first = message->offset;
    partition->waits_ms = rd_kafka_message_timestamp(message, NULL);
    if (event_decode(&event, (struct bytes){message->payload, message->len}, &err) == 0)
        partition->waits_ms = event.source.ts_ms > 0 ? event.source.ts_ms : event.ts_ms;
    partition->waits_ms = MAX(partition->waits_ms, 1); /* also when nobody tells the time */
    return false;
}

/* Those that are behind their end, by the offsets. */
static void list_firsts(const struct bridge *bridge, struct firsts *firsts)
{
    for (size_t i = 0; i < bridge->count; i++) {
        struct bridge_table *table = &bridge->tables[i];

        for (int32_t p = 0; p < table->record.partitions; p++) {
            struct bridge_partition *partition = &table->partitions[p];

            if (applied_lag(table, p) == NOT_KNOWN)
                continue;
            firsts->partitions[firsts->count] = partition;
            firsts->ranges[firsts->count++] =
                (struct kafka_range){.topic = table->record.topic,
                                     .partition = p,
                                     .from = applied_offset(table, p),
                                     .to = partition->end};
        }
    }
}

static void settle(const struct firsts *firsts)
{
    for (size_t i = 0; i < firsts->count; i++) {
        struct bridge_partition *partition = firsts->partitions[i];

        if (!firsts->ranges[i].over || partition->waits_ms != NOT_KNOWN)
            continue;
        partition->first = partition->end;
        partition->waits_ms = 0;
    }
}

void topic_side_read_first(struct bridge *bridge, rd_kafka_t *rk, int64_t timeout_ms)
{
    struct firsts firsts = {0};
    struct kafka_ranges ranges = {.limit_ms = timeout_ms, .each = take_first, .arg = &firsts};
    size_t most = 1;
    struct error err;

    for (size_t i = 0; i < bridge->count; i++)
        most += (size_t)bridge->tables[i].record.partitions;
    firsts.partitions = xcalloc(most, sizeof(*firsts.partitions));
    firsts.ranges = xcalloc(most, sizeof(*firsts.ranges));
    list_firsts(bridge, &firsts);
    ranges.list = firsts.ranges;
    ranges.count = firsts.count;
    if (kafka_ranges_read(rk, &ranges, &err) < 0)
        bridge_not_read(bridge, "topics", err.message);
    settle(&firsts);
    free(firsts.partitions);
    free(firsts.ranges);
}

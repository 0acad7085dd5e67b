#include "status/topic_side.h"

#include <stdlib.h>
#include <string.h>

#include "common/kafka/kafka_ranges.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/event.h"
#include "status/applied.h"

/* ---- ends ---- */

void topic_side_read_ends(struct bridge *bridge, rd_kafka_t *rk, int64_t timeout_ms)
{
    for (size_t i = 0; i < bridge->count; i++) {
        struct bridge_table *table = &bridge->tables[i];
        int32_t count = table->record.partitions;
        int64_t *offsets = xcalloc(2 * (size_t)MAX(count, 1), sizeof(*offsets));
        const char *topic = table->record.topic;
        struct error err;

        if (count > 0 &&
            (kafka_topic_begin_offsets(offsets, rk, topic, 0, count, timeout_ms, &err) < 0 ||
             kafka_topic_end_offsets(offsets + count, rk, topic, 0, count, timeout_ms, &err) <
                 0))
            bridge_not_read(bridge, "topics", err.message);
        else
            for (int32_t p = 0; p < count; p++) {
                table->partitions[p].low = offsets[p];
                table->partitions[p].end = offsets[count + p];
            }
        free(offsets);
    }
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

        if (firsts->ranges[i].over && partition->waits_ms == NOT_KNOWN)
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

/* common/kafka/kafka_ranges.h - reads parts of partitions once, from an offset to an end, for
 * whoever looks into a topic without following it.
 *
 * Of one thread. The handle is a consumer without a subscription, whose queue nobody else
 * polls; kafka_ranges_handle makes one. */
#pragma once

#include "common/kafka/kafka.h"

struct kafka_range {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t from;
    int64_t to; /* behind the last one, as kafka_topic_end_offsets tells it */
    bool over;  /* out: nothing more is read of it */
};

struct kafka_ranges {
    struct kafka_range *list; /* no partition twice */
    size_t count;
    int64_t limit_ms; /* ERR_RETRY when nothing comes for so long, or a stop is requested */
    /* A record between from and to; false: no more of this range. */
    bool (*each)(void *arg, struct kafka_range *range, const rd_kafka_message_t *message);
    void *arg;
};

/* role goes into client.id. Reads what is committed. */
int kafka_ranges_handle(rd_kafka_t **ret, const struct config *config, const char *role,
                        struct error *err);
int kafka_ranges_read(rd_kafka_t *rk, const struct kafka_ranges *ranges, struct error *err);

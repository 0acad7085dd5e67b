#include "producer/topic_search.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/event.h"

/* How far back from the end a data record is found behind markers and control records. */
#define TAIL_RECORDS 20
#define READ_TIMEOUT_MS 10000

static void free_offsets(int64_t **offsets)
{
    free(*offsets);
}

static int open_reader(rd_kafka_t **ret, const struct config *c, struct error *err)
{
    static const struct kafka_setting settings[] = {{"group.id", "dynaferry-log-search"},
                                                    {"isolation.level", "read_committed"},
                                                    {"enable.auto.commit", "false"},
                                                    {"enable.partition.eof", "true"},
                                                    {"auto.offset.reset", "earliest"},
                                                    {"queued.max.messages.kbytes", "8192"},
                                                    {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, c, "log-search", settings, err) < 0 ||
        kafka_handle_new(ret, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(*ret);
    return 0;
}

static int assign_at(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t offset,
                     struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    code = rd_kafka_assign(rk, list);
    return code ? error_set(err, ERR_RETRY, "read %s: %s", topic, rd_kafka_err2str(code)) : 0;
}

/* Calls each for the records from offset on until it returns true or the end is reached. */
static int read_from(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t offset,
                     bool (*each)(void *arg, const rd_kafka_message_t *message), void *arg,
                     struct error *err)
{
    if (assign_at(rk, topic, partition, offset, err) < 0)
        return -1;
    for (;;) {
        AUTO(rd_kafka_messagep)
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, READ_TIMEOUT_MS);

        if (!message)
            return error_set(err, ERR_RETRY, "read %s/%" PRId32 ": no answer", topic,
                             partition);
        if (message->partition != partition)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            return 0;
        if (message->err)
            return error_set(err, ERR_RETRY, "read %s/%" PRId32 ": %s", topic, partition,
                             rd_kafka_message_errstr(message));
        if (each(arg, message))
            return 0;
    }
}

static bool note_generation(void *arg, const rd_kafka_message_t *message)
{
    int64_t *newest = arg, generation;

    if (kafka_header_int64(message, EVENT_HEADER_GENERATION, &generation))
        *newest = MAX(*newest, generation);
    return false;
}

int topic_search_generation(int64_t *ret, const struct config *c, const char *topic,
                            int32_t partitions, struct error *err)
{
    AUTO(rd_kafka_freep) rd_kafka_t *rk = NULL;
    int64_t newest = 0;

    if (open_reader(&rk, c, err) < 0)
        return -1;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(rk, topic, p, &low, &high, READ_TIMEOUT_MS);

        if (code)
            return error_set(err, ERR_RETRY, "end of %s: %s", topic, rd_kafka_err2str(code));
        if (high > low && read_from(rk, topic, p, MAX(low, high - TAIL_RECORDS),
                                    note_generation, &newest, err) < 0)
            return -1;
    }
    *ret = newest;
    return 0;
}

struct begin_search {
    int64_t generation;
    int64_t offset; /* -1: not found */
};

static bool note_begin(void *arg, const rd_kafka_message_t *message)
{
    struct begin_search *search = arg;
    struct bytes control;
    int64_t generation;

    if (!kafka_header(message, EVENT_HEADER_CONTROL, &control) ||
        event_control_of(control) != CONTROL_SNAPSHOT_BEGIN ||
        !kafka_header_int64(message, EVENT_HEADER_GENERATION, &generation) ||
        generation != search->generation)
        return false;
    search->offset = message->offset;
    return true;
}

int topic_search_begin(int64_t *ret_offsets, const struct config *c, const char *topic,
                       int32_t partitions, int64_t generation, int64_t from_ms,
                       struct error *err)
{
    AUTO(rd_kafka_freep) rd_kafka_t *rk = NULL;
    AUTO(free_offsets) int64_t *from = xcalloc((size_t)partitions, sizeof(*from));

    if (open_reader(&rk, c, err) < 0 ||
        kafka_topic_time_offsets(from, rk, topic, partitions, from_ms, READ_TIMEOUT_MS, err) <
            0)
        return -1;
    for (int32_t p = 0; p < partitions; p++) {
        struct begin_search search = {.generation = generation, .offset = -1};

        if (from[p] >= 0 && read_from(rk, topic, p, from[p], note_begin, &search, err) < 0)
            return -1;
        if (search.offset < 0)
            return error_set(err, ERR_DATA,
                             "%s/%" PRId32 " has no begin of generation %" PRId64, topic, p,
                             generation);
        ret_offsets[p] = search.offset;
    }
    return 0;
}

/* ---- is it still the same topic ---- */

struct begin_look {
    int64_t offset;
    int64_t generation;
    const char *log_id;
    bool is_it;
};

static bool note_identity(void *arg, const rd_kafka_message_t *message)
{
    struct begin_look *look = arg;
    struct event ev = {0};
    struct error err;

    look->is_it =
        message->offset == look->offset &&
        event_decode(&ev, (struct bytes){message->payload, message->payload ? message->len : 0},
                     &err) == 0 &&
        ev.op == EVENT_CONTROL && ev.control.type == CONTROL_SNAPSHOT_BEGIN &&
        ev.source.generation == look->generation &&
        bytes_equal(ev.control.log_id, bytes_of(look->log_id));
    return true;
}

int topic_search_is_same(bool *ret, const struct config *c, const char *topic,
                         int32_t partitions, const int64_t *begin_offsets, int64_t generation,
                         const char *log_id, struct error *err)
{
    AUTO(rd_kafka_freep) rd_kafka_t *rk = NULL;
    AUTO(free_offsets) int64_t *low = xcalloc((size_t)partitions, sizeof(*low));
    AUTO(free_offsets) int64_t *high = xcalloc((size_t)partitions, sizeof(*high));
    struct begin_look look = {.generation = generation, .log_id = log_id};
    int32_t present = -1;

    if (open_reader(&rk, c, err) < 0 ||
        kafka_topic_begin_offsets(low, rk, topic, 0, partitions, READ_TIMEOUT_MS, err) < 0 ||
        kafka_topic_end_offsets(high, rk, topic, 0, partitions, READ_TIMEOUT_MS, err) < 0)
        return -1;
    for (int32_t p = 0; p < partitions; p++) {
        if (high[p] <= begin_offsets[p]) {
            *ret = false;
            return 0;
        }
        if (low[p] <= begin_offsets[p])
            present = p;
    }
    look.offset = present < 0 ? -1 : begin_offsets[present];
    if (present >= 0 &&
        read_from(rk, topic, present, look.offset, note_identity, &look, err) < 0)
        return -1;
    *ret = present < 0 || look.is_it;
    return 0;
}

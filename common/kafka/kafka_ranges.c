#include "common/kafka/kafka_ranges.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define POLL_MS 200
#define QUEUE_KBYTES "16384"

int kafka_ranges_handle(rd_kafka_t **ret, const struct config *config, const char *role,
                        struct error *err)
{
    AUTO(free_charp) char *group = xasprintf("dynaferry-%s", role); /* never joined */
    const struct kafka_setting settings[] = {{"group.id", group},
                                             {"isolation.level", "read_committed"},
                                             {"enable.auto.commit", "false"},
                                             {"enable.partition.eof", "true"},
                                             {"auto.offset.reset", "earliest"},
                                             {"queued.max.messages.kbytes", QUEUE_KBYTES},
                                             {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, config, role, settings, err) < 0 ||
        kafka_handle_new(ret, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(*ret);
    return 0;
}

static int refused(const struct kafka_range *range, rd_kafka_resp_err_t code, struct error *err)
{
    return error_set(err, ERR_RETRY, "topic %s, partition %" PRId32 ": %s", range->topic,
                     range->partition, rd_kafka_err2str(code));
}

/* What is over already is not asked for. */
static int assign(rd_kafka_t *rk, const struct kafka_ranges *ranges, size_t *ret_left,
                  struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)ranges->count);
    rd_kafka_resp_err_t code;

    *ret_left = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        struct kafka_range *range = &ranges->list[i];

        range->over = range->from >= range->to;
        if (range->over)
            continue;
        rd_kafka_topic_partition_list_add(list, range->topic, range->partition)->offset =
            range->from;
        ++*ret_left;
    }
    if (*ret_left == 0)
        return 0;
    code = rd_kafka_assign(rk, list);
    return code ? refused(&ranges->list[0], code, err) : 0;
}

static struct kafka_range *range_of(const struct kafka_ranges *ranges,
                                    const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";

    for (size_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].partition == message->partition &&
            strcmp(ranges->list[i].topic, topic) == 0)
            return &ranges->list[i];
    return NULL;
}

/* true: it came nearer to the end. */
static bool take(const struct kafka_ranges *ranges, const rd_kafka_message_t *message,
                 size_t *left)
{
    struct kafka_range *range = range_of(ranges, message);

    if (!range || range->over) /* what is over is fetched ahead, until all is */
        return false;
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        range->over = message->offset >= range->to ||
                      !ranges->each(ranges->arg, range, message) ||
                      message->offset + 1 == range->to;
        *left -= range->over;
        return true;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        range->over = message->offset >= range->to;
        *left -= range->over;
        return true;
    default:
        log_debug("partition can't be read now", "topic=%s partition=%" PRId32 " reason=%s",
                  range->topic, range->partition, rd_kafka_err2str(message->err));
        return false;
    }
}

static int nothing_comes(const struct kafka_ranges *ranges, struct error *err)
{
    const struct kafka_range *range = ranges->list;

    while (range->over)
        range++;
    return error_set(err, ERR_RETRY, "topic %s, partition %" PRId32 " can't be read to its end",
                     range->topic, range->partition);
}

static int read_all(rd_kafka_t *rk, const struct kafka_ranges *ranges, size_t left,
                    struct error *err)
{
    int64_t end = clock_mono_ms() + ranges->limit_ms;

    while (left > 0) {
        AUTO(rd_kafka_messagep)
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, POLL_MS);

        if (stop_requested())
            return error_set(err, ERR_RETRY, "interrupted");
        if (message && take(ranges, message, &left))
            end = clock_mono_ms() + ranges->limit_ms;
        else if (clock_mono_ms() >= end)
            return nothing_comes(ranges, err);
    }
    return 0;
}

int kafka_ranges_read(rd_kafka_t *rk, const struct kafka_ranges *ranges, struct error *err)
{
    size_t left;
    int result = assign(rk, ranges, &left, err);

    if (result == 0 && left > 0)
        result = read_all(rk, ranges, left, err);
    rd_kafka_assign(rk, NULL);
    return result;
}

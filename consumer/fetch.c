#include "consumer/fetch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"

/* A partition may hold this part of memory.bytes, within bounds: 12 partitions of a table that
 * is read from its begin then stay below it. */
#define QUEUE_SHARE 128
#define QUEUE_MIN_KBYTES 256
#define QUEUE_MAX_KBYTES 4096
/* The queue is counted uncompressed, what is asked for at once is not: this part of a queue for
 * one partition, and so much for all, of which lz4 makes 128 MB at the very most. */
#define FETCH_PART 32
#define FETCH_BYTES "524288"
#define NUDGE_TIMEOUT_MS 100

struct fetch {
    rd_kafka_t *rk;
    size_t queue_bytes;
};

int fetch_new(struct fetch **ret, const struct config *c, struct error *err)
{
    AUTO(fetch_freep) struct fetch *f = xcalloc(1, sizeof(*f));
    int64_t kbytes = config_int(c, "memory.bytes") / QUEUE_SHARE / 1024;
    int64_t largest = config_int(c, "topic.max.message.bytes");
    AUTO(free_charp) char *queue = NULL, *message = NULL, *receive = NULL;
    rd_kafka_conf_t *conf = NULL;

    kbytes = MAX(QUEUE_MIN_KBYTES, MIN(kbytes, QUEUE_MAX_KBYTES));
    f->queue_bytes = (size_t)kbytes * 1024;
    queue = xasprintf("%" PRId64, kbytes);
    message = xasprintf("%zu", f->queue_bytes / FETCH_PART);
    receive = xasprintf("%" PRId64, MAX(2 * largest, 16 << 20) + 1024);
    {
        const struct kafka_setting settings[] = {
            {"isolation.level", "read_committed"},
            {"enable.auto.commit", "false"},
            {"auto.commit.enable", "false"},
            {"enable.partition.eof", "true"},
            {"auto.offset.reset", "error"},
            {"queued.min.messages", "1000000"},
            {"queued.max.messages.kbytes", queue},
            {"max.partition.fetch.bytes", message},
            {"fetch.max.bytes", FETCH_BYTES},
            {"message.max.bytes", FETCH_BYTES}, /* librdkafka fetches no less than this */
            {"receive.message.max.bytes", receive},
            {"fetch.error.backoff.ms", "100"},
            {"topic.metadata.refresh.interval.ms", "10000"},
            {NULL, NULL}};

        if (kafka_conf_new(&conf, c, "fetch", settings, err) < 0 ||
            kafka_handle_new(&f->rk, RD_KAFKA_CONSUMER, &conf, err) < 0)
            return -1;
    }
    *ret = TAKE(f);
    return 0;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    if (f->rk)
        rd_kafka_destroy(f->rk);
    free(f);
}

rd_kafka_t *fetch_handle(struct fetch *f)
{
    return f->rk;
}

void fetch_stream_init(struct fetch_stream *s, struct fetch *f, const char *topic,
                       int32_t partition, void (*wake)(rd_kafka_t *rk, void *arg), void *arg)
{
    *s = (struct fetch_stream){.fetch = f, .partition = partition};
    s->topic = rd_kafka_topic_new(f->rk, topic, NULL);
    CHECK(s->topic);
    s->queue = rd_kafka_queue_new(f->rk);
    rd_kafka_queue_cb_event_enable(s->queue, wake, arg);
}

void fetch_stream_release(struct fetch_stream *s)
{
    fetch_stream_close(s);
    rd_kafka_queue_cb_event_enable(s->queue, NULL, NULL);
    rd_kafka_queue_destroy(s->queue);
    rd_kafka_topic_destroy(s->topic);
}

/* Messages of before the stop are outdated: librdkafka drops them when they are asked for. */
static void drop_queued(struct fetch_stream *s)
{
    rd_kafka_message_t *messages[64];
    ssize_t n;

    while ((n = rd_kafka_consume_batch_queue(s->queue, 0, messages, ARRAY_LEN(messages))) > 0)
        for (ssize_t i = 0; i < n; i++)
            rd_kafka_message_destroy(messages[i]);
}

void fetch_stream_close(struct fetch_stream *s)
{
    if (!s->open)
        return;
    rd_kafka_consume_stop(s->topic, s->partition);
    drop_queued(s);
    s->open = false;
}

int fetch_stream_open(struct fetch_stream *s, int64_t offset, struct error *err)
{
    fetch_stream_close(s);
    if (rd_kafka_consume_start_queue(s->topic, s->partition, offset, s->queue) < 0)
        return error_set(err, ERR_RETRY, "start at offset %" PRId64 ": %s", offset,
                         rd_kafka_err2str(rd_kafka_last_error()));
    s->open = true;
    s->pulled = 0;
    return 0;
}

/* With all queues full nothing is in flight, and librdkafka 2.0.2 looks again only after a
 * second; any request to the broker wakes it. */
static void nudge(struct fetch_stream *s)
{
    struct error ignored;
    int64_t end;

    s->pulled = 0;
    kafka_end_offsets(&end, s->fetch->rk, rd_kafka_topic_name(s->topic), s->partition, 1,
                      NUDGE_TIMEOUT_MS, &ignored);
}

size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max)
{
    ssize_t n;

    CHECK(s->open);
    n = rd_kafka_consume_batch_queue(s->queue, 0, messages, max);
    for (ssize_t i = 0; i < n; i++)
        s->pulled += messages[i]->len + messages[i]->key_len;
    if (s->pulled >= s->fetch->queue_bytes)
        nudge(s);
    return n > 0 ? (size_t)n : 0;
}

int64_t fetch_stream_end(const struct fetch_stream *s)
{
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(s->fetch->rk, rd_kafka_topic_name(s->topic),
                                       s->partition, &low, &high) ||
        high < 0)
        return -1;
    return high;
}

#include "consumer/fetch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"

/* Of memory.bytes: what streams and batches hold, and librdkafka's queue before them. The rest
 * is for what one answer holds decompressed, commands, and the allocator. */
#define BUDGET_PERCENT 33
#define QUEUE_PERCENT 6
/* What is asked for at once is counted compressed, of which lz4 makes at most 255 times as
 * much: so much for one partition, so much for all. */
#define PART_BYTES "16384"
#define FETCH_BYTES "262144"
#define NUDGE_TIMEOUT_MS 100
#define LOOK_MS 100
#define STALL_MS 2000

struct fetch {
    /* set once */
    rd_kafka_queue_t *queue;
    size_t queue_bytes;
    pthread_t thread;

    struct fetch_streams streams;

    /* under the lock of the streams */
    int64_t full_at; /* since when the budget is used up; 0: it is not */
    bool arrived;    /* librdkafka's queue is not empty */
    bool stopping;

    /* of the thread */
    size_t pulled; /* bytes since librdkafka was last nudged */
};

/* ---- the thread ---- */

/* librdkafka drops what it fetched before a stop when that is asked for, so stopping, starting
 * and asking are of one thread. */
static bool follow(struct fetch *fetch, struct fetch_stream *stream, int64_t wanted)
{
    if (stream->started)
        rd_kafka_consume_stop(stream->topic->rkt, stream->partition);
    stream->started = wanted != FETCH_STREAM_CLOSED;
    if (!stream->started || !rd_kafka_consume_start_queue(stream->topic->rkt, stream->partition,
                                                          wanted, fetch->queue))
        return true;
    stream->started = false;
    log_warn("partition can't be read", "topic=%s partition=%" PRId32 " reason=%s",
             stream->topic->name, stream->partition, rd_kafka_err2str(rd_kafka_last_error()));
    return false;
}

static void follow_changes(struct fetch *fetch)
{
    struct fetch_streams *streams = &fetch->streams;

    pthread_mutex_lock(&streams->lock);
    while (streams->changes) {
        struct fetch_stream *stream = streams->changes;
        int64_t wanted = stream->wanted;
        unsigned asked = stream->asked;
        bool done;

        streams->changes = stream->next_change;
        stream->in_changes = false;
        pthread_mutex_unlock(&streams->lock);
        done = follow(fetch, stream, wanted);
        pthread_mutex_lock(&streams->lock);
        stream->done = asked;
        if (!done && stream->asked == asked)
            stream->resume = wanted;
    }
    pthread_mutex_unlock(&streams->lock);
}

static struct fetch_stream *stream_of(struct fetch *fetch, const rd_kafka_message_t *m)
{
    char id[320];
    struct fetch_stream *stream;

    if (!m->rkt)
        return NULL;
    snprintf(id, sizeof(id), "%s/%" PRId32, rd_kafka_topic_name(m->rkt), m->partition);
    HASH_FIND_STR(fetch->streams.by_id, id, stream);
    return stream;
}

struct woken {
    struct fetch_stream *list[FETCH_STREAM_PULL_MAX];
    size_t count;
};

static void deliver(struct fetch *fetch, rd_kafka_message_t **messages, size_t n,
                    struct woken *woken)
{
    const rd_kafka_topic_t *rkt = NULL;
    struct fetch_stream *stream = NULL;

    AUTO_LOCK(&fetch->streams.lock);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = messages[i];

        if (!stream || m->rkt != rkt || m->partition != stream->partition)
            stream = stream_of(fetch, m);
        rkt = m->rkt;
        if (!stream ||
            stream->asked != stream->done) { /* closed, or opened elsewhere, meanwhile */
            fetch_stream_discard(&fetch->streams, m);
            continue;
        }
        if (stream->count == 0)
            woken->list[woken->count++] = stream;
        fetch->pulled += fetch_stream_size_of(m);
        fetch_stream_put(stream, m);
    }
}

/* With its queue full nothing is in flight, and librdkafka 2.0.2 looks again only after a
 * second; any request to the broker wakes it. */
static void nudge(struct fetch *fetch, const rd_kafka_topic_t *rkt, int32_t partition)
{
    struct error ignored;
    int64_t end;

    if (fetch->pulled < fetch->queue_bytes || !rkt)
        return;
    fetch->pulled = 0;
    kafka_topic_end_offsets(&end, fetch->streams.rk, rd_kafka_topic_name(rkt), partition, 1,
                            NUDGE_TIMEOUT_MS, &ignored);
}

/* What the table that has taken nothing for longest holds, when nothing else helps. */
static void suspend_stalled(struct fetch *fetch, int64_t now)
{
    const struct fetch_topic *stalled = NULL;

    for (struct fetch_stream *stream = fetch->streams.by_id; stream; stream = stream->hh.next)
        if (stream->bytes > 0 && now - stream->topic->taken_at > STALL_MS &&
            (!stalled || stream->topic->taken_at < stalled->taken_at))
            stalled = stream->topic;
    for (struct fetch_stream *stream = fetch->streams.by_id; stalled && stream;
         stream = stream->hh.next)
        if (stream->topic == stalled)
            fetch_stream_suspend(stream);
}

/* Waits until something may be moved. */
static void wait_for_room(struct fetch *fetch)
{
    struct fetch_streams *streams = &fetch->streams;

    AUTO_LOCK(&streams->lock);
    while (!fetch->stopping && !streams->changes) {
        int64_t now = clock_mono_ms();
        bool full = streams->used >= streams->budget;

        if (!full)
            fetch->full_at = 0;
        else if (!fetch->full_at)
            fetch->full_at = now;
        else if (now - fetch->full_at > STALL_MS) {
            suspend_stalled(fetch, now);
            fetch->full_at = now;
        }
        if (!full && (fetch->arrived ||
                      clock_cond_wait(&streams->changed, &streams->lock, now + LOOK_MS)))
            break;
        if (full)
            clock_cond_wait(&streams->changed, &streams->lock, now + LOOK_MS);
    }
    fetch->arrived = false;
}

static void move_messages(struct fetch *fetch)
{
    rd_kafka_message_t *messages[FETCH_STREAM_PULL_MAX];
    struct woken woken = {.count = 0};
    ssize_t n = rd_kafka_consume_batch_queue(fetch->queue, 0, messages, FETCH_STREAM_PULL_MAX);

    if (n <= 0)
        return;
    nudge(fetch, messages[0]->rkt, messages[0]->partition);
    deliver(fetch, messages, (size_t)n, &woken);
    for (size_t i = 0; i < woken.count; i++)
        woken.list[i]->wake(woken.list[i]->arg);
    AUTO_LOCK(&fetch->streams.lock);
    fetch->arrived = true; /* there may be more */
}

static bool has_room(struct fetch *fetch)
{
    AUTO_LOCK(&fetch->streams.lock);
    return fetch->streams.used < fetch->streams.budget;
}

static bool is_stopping(struct fetch *fetch)
{
    AUTO_LOCK(&fetch->streams.lock);
    return fetch->stopping;
}

static void *fetch_loop(void *arg)
{
    struct fetch *fetch = arg;

    while (!is_stopping(fetch)) {
        follow_changes(fetch);
        wait_for_room(fetch);
        follow_changes(fetch);
        if (has_room(fetch))
            move_messages(fetch);
        fetch_stream_bury(&fetch->streams);
    }
    return NULL;
}

/* From a thread of librdkafka. */
static void on_arrival(rd_kafka_t *rk, void *arg)
{
    struct fetch *fetch = arg;

    (void)rk;
    AUTO_LOCK(&fetch->streams.lock);
    fetch->arrived = true;
    pthread_cond_signal(&fetch->streams.changed);
}

/* ---- the handle ---- */

static int open_handle(struct fetch *fetch, const struct config *config, struct error *err)
{
    int64_t largest = config_int(config, "topic.max.message.bytes");
    AUTO(free_charp) char *queue = xasprintf("%zu", fetch->queue_bytes / 1024);
    AUTO(free_charp)
    char *receive = xasprintf("%" PRId64, MAX(2 * largest, 16 << 20) + 1024);
    rd_kafka_conf_t *conf = NULL;
    const struct kafka_setting settings[] = {
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"auto.commit.enable", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"queued.min.messages", "1000000"},
        {"queued.max.messages.kbytes", queue},
        {"max.partition.fetch.bytes", PART_BYTES},
        {"fetch.max.bytes", FETCH_BYTES},
        {"message.max.bytes", FETCH_BYTES}, /* librdkafka fetches no less than this */
        {"receive.message.max.bytes", receive},
        {"fetch.error.backoff.ms", "100"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {NULL, NULL}};

    if (kafka_conf_new(&conf, config, "fetch", settings, err) < 0)
        return -1;
    return kafka_handle_new(&fetch->streams.rk, RD_KAFKA_CONSUMER, &conf, err);
}

int fetch_new(struct fetch **ret, const struct config *config, struct error *err)
{
    AUTO(fetch_freep) struct fetch *fetch = xcalloc(1, sizeof(*fetch));
    size_t memory = (size_t)config_int(config, "memory.bytes");

    fetch_stream_begin_all(&fetch->streams, memory / 100 * BUDGET_PERCENT);
    fetch->queue_bytes = memory / 100 * QUEUE_PERCENT;
    if (open_handle(fetch, config, err) < 0)
        return -1;
    fetch->queue = rd_kafka_queue_new(fetch->streams.rk);
    rd_kafka_queue_cb_event_enable(fetch->queue, on_arrival, fetch);
    CHECK(pthread_create(&fetch->thread, NULL, fetch_loop, fetch) == 0);
    fetch->streams.reading = true;
    *ret = TAKE(fetch);
    return 0;
}

void fetch_stop(struct fetch *fetch)
{
    if (!fetch || !fetch->streams.reading)
        return;
    pthread_mutex_lock(&fetch->streams.lock);
    fetch->stopping = true;
    pthread_cond_broadcast(&fetch->streams.changed);
    pthread_mutex_unlock(&fetch->streams.lock);
    pthread_join(fetch->thread, NULL);
    fetch->streams.reading = false;
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    fetch_stop(fetch);
    if (fetch->queue) /* no thread of librdkafka takes the lock any more */
        rd_kafka_queue_cb_event_enable(fetch->queue, NULL, NULL);
    fetch_stream_end_all(&fetch->streams);
    if (fetch->queue)
        rd_kafka_queue_destroy(fetch->queue);
    if (fetch->streams.rk)
        rd_kafka_destroy(fetch->streams.rk);
    free(fetch);
}

rd_kafka_t *fetch_handle(struct fetch *fetch)
{
    return fetch->streams.rk;
}

struct fetch_streams *fetch_streams(struct fetch *fetch)
{
    return &fetch->streams;
}

size_t fetch_batch_bytes(const struct fetch *fetch, int writers)
{
    return fetch->streams.budget / 2 / (size_t)writers;
}

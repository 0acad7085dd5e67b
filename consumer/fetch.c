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
static bool follow(struct fetch *f, struct fetch_stream *s, int64_t wanted)
{
    if (s->started)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    s->started = wanted != FETCH_STREAM_CLOSED;
    if (!s->started ||
        !rd_kafka_consume_start_queue(s->topic->rkt, s->partition, wanted, f->queue))
        return true;
    s->started = false;
    log_warn("partition can't be read", "topic=%s partition=%" PRId32 " reason=%s",
             s->topic->name, s->partition, rd_kafka_err2str(rd_kafka_last_error()));
    return false;
}

static void follow_changes(struct fetch *f)
{
    struct fetch_streams *streams = &f->streams;

    pthread_mutex_lock(&streams->lock);
    while (streams->changes) {
        struct fetch_stream *s = streams->changes;
        int64_t wanted = s->wanted;
        unsigned asked = s->asked;
        bool done;

        streams->changes = s->next_change;
        s->in_changes = false;
        pthread_mutex_unlock(&streams->lock);
        done = follow(f, s, wanted);
        pthread_mutex_lock(&streams->lock);
        s->done = asked;
        if (!done && s->asked == asked)
            s->resume = wanted;
    }
    pthread_mutex_unlock(&streams->lock);
}

static struct fetch_stream *stream_of(struct fetch *f, const rd_kafka_message_t *m)
{
    char id[320];
    struct fetch_stream *s;

    if (!m->rkt)
        return NULL;
    snprintf(id, sizeof(id), "%s/%" PRId32, rd_kafka_topic_name(m->rkt), m->partition);
    HASH_FIND_STR(f->streams.by_id, id, s);
    return s;
}

struct woken {
    struct fetch_stream *list[FETCH_STREAM_PULL_MAX];
    size_t count;
};

static void deliver(struct fetch *f, rd_kafka_message_t **messages, size_t n,
                    struct woken *woken)
{
    const rd_kafka_topic_t *rkt = NULL;
    struct fetch_stream *s = NULL;

    AUTO_LOCK(&f->streams.lock);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = messages[i];

        if (!s || m->rkt != rkt || m->partition != s->partition)
            s = stream_of(f, m);
        rkt = m->rkt;
        if (!s || s->asked != s->done) { /* closed, or opened elsewhere, meanwhile */
            fetch_stream_discard(&f->streams, m);
            continue;
        }
        if (s->count == 0)
            woken->list[woken->count++] = s;
        f->pulled += fetch_stream_size_of(m);
        fetch_stream_put(s, m);
    }
}

/* With its queue full nothing is in flight, and librdkafka 2.0.2 looks again only after a
 * second; any request to the broker wakes it. */
static void nudge(struct fetch *f, const rd_kafka_topic_t *rkt, int32_t partition)
{
    struct error ignored;
    int64_t end;

    if (f->pulled < f->queue_bytes || !rkt)
        return;
    f->pulled = 0;
    kafka_topic_end_offsets(&end, f->streams.rk, rd_kafka_topic_name(rkt), partition, 1,
                            NUDGE_TIMEOUT_MS, &ignored);
}

/* What the table that has taken nothing for longest holds, when nothing else helps. */
static void suspend_stalled(struct fetch *f, int64_t now)
{
    const struct fetch_topic *stalled = NULL;

    for (struct fetch_stream *s = f->streams.by_id; s; s = s->hh.next)
        if (s->bytes > 0 && now - s->topic->taken_at > STALL_MS &&
            (!stalled || s->topic->taken_at < stalled->taken_at))
            stalled = s->topic;
    for (struct fetch_stream *s = f->streams.by_id; stalled && s; s = s->hh.next)
        if (s->topic == stalled)
            fetch_stream_suspend(s);
}

/* Waits until something may be moved. */
static void wait_for_room(struct fetch *f)
{
    struct fetch_streams *streams = &f->streams;

    AUTO_LOCK(&streams->lock);
    while (!f->stopping && !streams->changes) {
        int64_t now = clock_mono_ms();
        bool full = streams->used >= streams->budget;

        if (!full)
            f->full_at = 0;
        else if (!f->full_at)
            f->full_at = now;
        else if (now - f->full_at > STALL_MS) {
            suspend_stalled(f, now);
            f->full_at = now;
        }
        if (!full &&
            (f->arrived || clock_cond_wait(&streams->changed, &streams->lock, now + LOOK_MS)))
            break;
        if (full)
            clock_cond_wait(&streams->changed, &streams->lock, now + LOOK_MS);
    }
    f->arrived = false;
}

static void move_messages(struct fetch *f)
{
    rd_kafka_message_t *messages[FETCH_STREAM_PULL_MAX];
    struct woken woken = {.count = 0};
    ssize_t n = rd_kafka_consume_batch_queue(f->queue, 0, messages, FETCH_STREAM_PULL_MAX);

    if (n <= 0)
        return;
    nudge(f, messages[0]->rkt, messages[0]->partition);
    deliver(f, messages, (size_t)n, &woken);
    for (size_t i = 0; i < woken.count; i++)
        woken.list[i]->wake(woken.list[i]->arg);
    AUTO_LOCK(&f->streams.lock);
    f->arrived = true; /* there may be more */
}

static bool has_room(struct fetch *f)
{
    AUTO_LOCK(&f->streams.lock);
    return f->streams.used < f->streams.budget;
}

static bool is_stopping(struct fetch *f)
{
    AUTO_LOCK(&f->streams.lock);
    return f->stopping;
}

static void *fetch_loop(void *arg)
{
    struct fetch *f = arg;

    while (!is_stopping(f)) {
        follow_changes(f);
        wait_for_room(f);
        follow_changes(f);
        if (has_room(f))
            move_messages(f);
        fetch_stream_bury(&f->streams);
    }
    return NULL;
}

/* From a thread of librdkafka. */
static void on_arrival(rd_kafka_t *rk, void *arg)
{
    struct fetch *f = arg;

    (void)rk;
    AUTO_LOCK(&f->streams.lock);
    f->arrived = true;
    pthread_cond_signal(&f->streams.changed);
}

/* ---- the handle ---- */

static int open_handle(struct fetch *f, const struct config *config, struct error *err)
{
    int64_t largest = config_int(config, "topic.max.message.bytes");
    AUTO(free_charp) char *queue = xasprintf("%zu", f->queue_bytes / 1024);
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
    return kafka_handle_new(&f->streams.rk, RD_KAFKA_CONSUMER, &conf, err);
}

int fetch_new(struct fetch **ret, const struct config *config, struct error *err)
{
    AUTO(fetch_freep) struct fetch *f = xcalloc(1, sizeof(*f));
    size_t memory = (size_t)config_int(config, "memory.bytes");

    fetch_stream_begin_all(&f->streams, memory / 100 * BUDGET_PERCENT);
    f->queue_bytes = memory / 100 * QUEUE_PERCENT;
    if (open_handle(f, config, err) < 0)
        return -1;
    f->queue = rd_kafka_queue_new(f->streams.rk);
    rd_kafka_queue_cb_event_enable(f->queue, on_arrival, f);
    CHECK(pthread_create(&f->thread, NULL, fetch_loop, f) == 0);
    f->streams.reading = true;
    *ret = TAKE(f);
    return 0;
}

void fetch_stop(struct fetch *f)
{
    if (!f || !f->streams.reading)
        return;
    pthread_mutex_lock(&f->streams.lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->streams.changed);
    pthread_mutex_unlock(&f->streams.lock);
    pthread_join(f->thread, NULL);
    f->streams.reading = false;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    fetch_stop(f);
    if (f->queue) /* no thread of librdkafka takes the lock any more */
        rd_kafka_queue_cb_event_enable(f->queue, NULL, NULL);
    fetch_stream_end_all(&f->streams);
    if (f->queue)
        rd_kafka_queue_destroy(f->queue);
    if (f->streams.rk)
        rd_kafka_destroy(f->streams.rk);
    free(f);
}

rd_kafka_t *fetch_handle(struct fetch *f)
{
    return f->streams.rk;
}

struct fetch_streams *fetch_streams(struct fetch *f)
{
    return &f->streams;
}

size_t fetch_batch_bytes(const struct fetch *f, int writers)
{
    return f->streams.budget / 2 / (size_t)writers;
}

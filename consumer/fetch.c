/* The handle, and the thread that reads. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "consumer/fetch_internal.h"

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

/* ---- the thread ---- */

/* librdkafka drops what it fetched before a stop when that is asked for, so stopping, starting
 * and asking are of one thread. */
static bool follow(struct fetch *f, struct fetch_stream *s, int64_t wanted)
{
    if (s->open)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    s->open = wanted != STREAM_CLOSED;
    if (!s->open ||
        !rd_kafka_consume_start_queue(s->topic->rkt, s->partition, wanted, f->queue))
        return true;
    s->open = false;
    log_warn("partition can't be read", "topic=%s partition=%" PRId32 " reason=%s",
             s->topic->name, s->partition, rd_kafka_err2str(rd_kafka_last_error()));
    return false;
}

static void follow_changes(struct fetch *f)
{
    auto_lock(&f->lock);
    while (f->changes) {
        struct fetch_stream *s = f->changes;
        int64_t wanted = s->wanted;
        unsigned asked = s->asked;
        bool done;

        f->changes = s->next_change;
        s->in_changes = false;
        pthread_mutex_unlock(&f->lock);
        done = follow(f, s, wanted);
        auto_lock(&f->lock);
        s->done = asked;
        if (!done && s->asked == asked)
            s->resume = wanted;
    }
    pthread_mutex_unlock(&f->lock);
}

static struct fetch_stream *stream_of(struct fetch *f, const rd_kafka_message_t *m)
{
    char id[320];
    struct fetch_stream *s;

    if (!m->rkt)
        return NULL;
    snprintf(id, sizeof(id), "%s/%" PRId32, rd_kafka_topic_name(m->rkt), m->partition);
    HASH_FIND_STR(f->streams, id, s);
    return s;
}

struct woken {
    struct fetch_stream *streams[STREAM_PULL_MAX];
    size_t count;
};

static void deliver(struct fetch *f, rd_kafka_message_t **messages, size_t n,
                    struct woken *woken)
{
    const rd_kafka_topic_t *rkt = NULL;
    struct fetch_stream *s = NULL;

    AUTO_LOCK(&f->lock);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = messages[i];

        if (!s || m->rkt != rkt || m->partition != s->partition)
            s = stream_of(f, m);
        rkt = m->rkt;
        if (!s || s->asked != s->done) { /* closed, or opened elsewhere, meanwhile */
            stream_discard(f, m);
            continue;
        }
        if (s->count == 0)
            woken->streams[woken->count++] = s;
        f->pulled += stream_size_of(m);
        stream_put(s, m);
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
    kafka_topic_end_offsets(&end, f->rk, rd_kafka_topic_name(rkt), partition, 1,
                            NUDGE_TIMEOUT_MS, &ignored);
}

/* What the table that has taken nothing for longest holds, when nothing else helps. */
static void drop_stalled(struct fetch *f, int64_t now)
{
    struct stream_topic *stalled = NULL;

    for (struct fetch_stream *s = f->streams; s; s = s->hh.next)
        if (s->bytes > 0 && now - s->topic->taken_at > STALL_MS &&
            (!stalled || s->topic->taken_at < stalled->taken_at))
            stalled = s->topic;
    for (struct fetch_stream *s = f->streams; stalled && s; s = s->hh.next) {
        int64_t from = stream_first_offset(s);

        if (s->topic != stalled || from == STREAM_CLOSED)
            continue;
        stream_drop(s);
        stream_ask(s, STREAM_CLOSED);
        s->resume = from;
    }
}

/* Waits until something may be moved. */
static void wait_for_room(struct fetch *f)
{
    AUTO_LOCK(&f->lock);
    while (!f->stopping && !f->changes) {
        int64_t now = clock_mono_ms();
        bool full = f->used >= f->budget;

        if (!full)
            f->full_at = 0;
        else if (!f->full_at)
            f->full_at = now;
        else if (now - f->full_at > STALL_MS) {
            drop_stalled(f, now);
            f->full_at = now;
        }
        if (!full && (f->arrived || clock_cond_wait(&f->changed, &f->lock, now + LOOK_MS)))
            break;
        if (full)
            clock_cond_wait(&f->changed, &f->lock, now + LOOK_MS);
    }
    f->arrived = false;
}

static void move_messages(struct fetch *f)
{
    rd_kafka_message_t *messages[STREAM_PULL_MAX];
    struct woken woken = {.count = 0};
    ssize_t n = rd_kafka_consume_batch_queue(f->queue, 0, messages, STREAM_PULL_MAX);

    if (n <= 0)
        return;
    nudge(f, messages[0]->rkt, messages[0]->partition);
    deliver(f, messages, (size_t)n, &woken);
    for (size_t i = 0; i < woken.count; i++)
        woken.streams[i]->wake(woken.streams[i]->arg);
    auto_lock(&f->lock);
    f->arrived = true; /* there may be more */
    pthread_mutex_unlock(&f->lock);
}

static bool has_room(struct fetch *f)
{
    AUTO_LOCK(&f->lock);
    return f->used < f->budget;
}

static bool is_stopping(struct fetch *f)
{
    AUTO_LOCK(&f->lock);
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
        stream_bury(f);
    }
    return NULL;
}

/* From a thread of librdkafka. */
static void on_arrival(rd_kafka_t *rk, void *arg)
{
    struct fetch *f = arg;

    (void)rk;
    AUTO_LOCK(&f->lock);
    f->arrived = true;
    pthread_cond_signal(&f->changed);
}

/* ---- the handle ---- */

static int open_handle(struct fetch *f, const struct config *c, struct error *err)
{
    int64_t largest = config_int(c, "topic.max.message.bytes");
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

    if (kafka_conf_new(&conf, c, "fetch", settings, err) < 0)
        return -1;
    return kafka_handle_new(&f->rk, RD_KAFKA_CONSUMER, &conf, err);
}

int fetch_new(struct fetch **ret, const struct config *c, struct error *err)
{
    AUTO(fetch_freep) struct fetch *f = xcalloc(1, sizeof(*f));
    size_t memory = (size_t)config_int(c, "memory.bytes");

    f->budget = memory / 100 * BUDGET_PERCENT;
    f->queue_bytes = memory / 100 * QUEUE_PERCENT;
    pthread_mutex_init(&f->lock, NULL);
    clock_cond_init(&f->changed);
    if (open_handle(f, c, err) < 0)
        return -1;
    f->queue = rd_kafka_queue_new(f->rk);
    rd_kafka_queue_cb_event_enable(f->queue, on_arrival, f);
    CHECK(pthread_create(&f->thread, NULL, fetch_loop, f) == 0);
    f->started = true;
    *ret = TAKE(f);
    return 0;
}

void fetch_stop(struct fetch *f)
{
    if (!f || !f->started)
        return;
    auto_lock(&f->lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->started = false;
}

static void topics_release(struct fetch *f)
{
    struct stream_topic *t, *next;

    HASH_ITER(hh, f->topics, t, next)
    {
        HASH_DEL(f->topics, t);
        rd_kafka_topic_destroy(t->rkt);
        free(t->name);
        free(t);
    }
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    fetch_stop(f);
    stream_bury(f);
    free(f->discarded);
    topics_release(f);
    if (f->queue) {
        rd_kafka_queue_cb_event_enable(f->queue, NULL, NULL);
        rd_kafka_queue_destroy(f->queue);
    }
    if (f->rk)
        rd_kafka_destroy(f->rk);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

rd_kafka_t *fetch_handle(struct fetch *f)
{
    return f->rk;
}

size_t fetch_batch_bytes(const struct fetch *f, int writers)
{
    return f->budget / 2 / (size_t)writers;
}

#include "consumer/fetch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"

/* Of memory.bytes: what streams and batches hold, and librdkafka's queue before them. The rest
 * is for what one answer holds decompressed, commands, and the allocator. */
#define BUDGET_PERCENT 45
#define QUEUE_PERCENT 6
#define MESSAGE_OVERHEAD 600 /* librdkafka's own around a message */
/* What is asked for at once is counted compressed, of which lz4 makes at most 255 times as
 * much: so much for one partition, so much for all. */
#define PART_BYTES "16384"
#define FETCH_BYTES "262144"
#define NUDGE_TIMEOUT_MS 100
#define PULL_MAX 512
#define LOOK_MS 100
#define STALL_MS 2000
#define CLOSED (-1)

struct stream_topic {
    char *name;
    rd_kafka_topic_t *rkt;
    int64_t taken_at; /* under the lock: when something was pulled or given back */
    UT_hash_handle hh;
};

struct fetch_stream {
    /* set once */
    struct fetch *fetch;
    struct stream_topic *topic;
    int32_t partition;
    char *id;
    void (*wake)(void *arg);
    void *arg;
    UT_hash_handle hh;

    /* under the lock */
    rd_kafka_message_t **ring; /* the messages, from first on */
    size_t first, count, capacity;
    size_t bytes;    /* of them */
    int64_t wanted;  /* the offset to start at; CLOSED: to be closed */
    int64_t resume;  /* closed by the thread: to be opened here at the next pull; CLOSED: not */
    unsigned asked;  /* grows with each open and close */
    bool in_changes; /* waits for the thread to do that */
    struct fetch_stream *next_change;

    /* of the thread */
    unsigned done; /* the `asked` that librdkafka follows */
    bool open;
};

struct fetch {
    /* set once */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    size_t budget;
    size_t queue_bytes;
    pthread_t thread;
    bool started;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;       /* messages, a change, or budget given back */
    struct fetch_stream *streams; /* by id */
    struct fetch_stream *changes;
    size_t used;
    int64_t full_at; /* since when the budget is used up; 0: it is not */
    bool arrived;    /* librdkafka's queue is not empty */
    bool stopping;

    /* of the thread */
    size_t pulled; /* bytes since librdkafka was last nudged */

    struct stream_topic *topics; /* by name; of the caller of fetch_stream_new */
};

static size_t size_of(const rd_kafka_message_t *m)
{
    return m->err ? 0 : m->len + m->key_len + MESSAGE_OVERHEAD;
}

/* ---- a stream's messages, under the lock ---- */

static void ring_put(struct fetch_stream *s, rd_kafka_message_t *m)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        rd_kafka_message_t **ring = xcalloc(capacity, sizeof(*ring));

        for (size_t i = 0; i < s->count; i++)
            ring[i] = s->ring[(s->first + i) % s->capacity];
        free(s->ring);
        s->ring = ring;
        s->first = 0;
        s->capacity = capacity;
    }
    s->ring[(s->first + s->count++) % s->capacity] = m;
    s->bytes += size_of(m);
    s->fetch->used += size_of(m);
}

static rd_kafka_message_t *ring_take(struct fetch_stream *s)
{
    rd_kafka_message_t *m = s->ring[s->first];

    s->first = (s->first + 1) % s->capacity;
    s->bytes -= size_of(m);
    if (--s->count == 0 && s->capacity > PULL_MAX) {
        free(TAKE(s->ring));
        s->capacity = s->first = 0;
    }
    return m;
}

static void ring_drop(struct fetch_stream *s)
{
    while (s->count > 0) {
        rd_kafka_message_t *m = ring_take(s);

        s->fetch->used -= size_of(m);
        rd_kafka_message_destroy(m);
    }
}

static void ask(struct fetch_stream *s, int64_t wanted)
{
    struct fetch *f = s->fetch;

    s->wanted = wanted;
    s->resume = CLOSED;
    s->asked++;
    if (!s->in_changes) {
        s->in_changes = true;
        s->next_change = f->changes;
        f->changes = s;
    }
    pthread_cond_signal(&f->changed);
}

/* ---- the thread ---- */

/* librdkafka drops what it fetched before a stop when that is asked for, so stopping, starting
 * and asking are of one thread. */
static bool follow(struct fetch *f, struct fetch_stream *s, int64_t wanted)
{
    if (s->open)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    s->open = wanted != CLOSED;
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
    struct fetch_stream *streams[PULL_MAX];
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
            rd_kafka_message_destroy(m);
            continue;
        }
        if (s->count == 0)
            woken->streams[woken->count++] = s;
        f->pulled += size_of(m);
        ring_put(s, m);
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
    kafka_end_offsets(&end, f->rk, rd_kafka_topic_name(rkt), partition, 1, NUDGE_TIMEOUT_MS,
                      &ignored);
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
        int64_t from;

        if (s->topic != stalled || s->bytes == 0)
            continue;
        from = s->ring[s->first]->offset;
        ring_drop(s);
        ask(s, CLOSED);
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
    rd_kafka_message_t *messages[PULL_MAX];
    struct woken woken = {.count = 0};
    ssize_t n = rd_kafka_consume_batch_queue(f->queue, 0, messages, PULL_MAX);

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
        move_messages(f);
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

/* ---- streams ---- */

/* Without the lock, which librdkafka's threads want while they hold its own. */
static struct stream_topic *topic_of(struct fetch *f, const char *name)
{
    struct stream_topic *t;

    HASH_FIND_STR(f->topics, name, t);
    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    t->name = xstrdup(name);
    t->rkt = rd_kafka_topic_new(f->rk, name, NULL);
    CHECK(t->rkt);
    HASH_ADD_KEYPTR(hh, f->topics, t->name, strlen(t->name), t);
    return t;
}

struct fetch_stream *fetch_stream_new(struct fetch *f, const char *topic, int32_t partition,
                                      void (*wake)(void *arg), void *arg)
{
    struct fetch_stream *s = xcalloc(1, sizeof(*s));

    s->fetch = f;
    s->topic = topic_of(f, topic);
    s->partition = partition;
    s->id = xasprintf("%s/%" PRId32, topic, partition);
    s->wake = wake;
    s->arg = arg;
    s->wanted = s->resume = CLOSED;
    AUTO_LOCK(&f->lock);
    HASH_ADD_KEYPTR(hh, f->streams, s->id, strlen(s->id), s);
    return s;
}

void fetch_stream_free(struct fetch_stream *s)
{
    struct fetch *f;

    if (!s)
        return;
    f = s->fetch;
    CHECK(!f->started);
    ring_drop(s);
    HASH_DEL(f->streams, s);
    if (s->open)
        rd_kafka_consume_stop(s->topic->rkt, s->partition);
    free(s->ring);
    free(s->id);
    free(s);
}

void fetch_stream_open(struct fetch_stream *s, int64_t offset)
{
    AUTO_LOCK(&s->fetch->lock);
    ring_drop(s);
    s->topic->taken_at = clock_mono_ms();
    ask(s, offset);
}

void fetch_stream_close(struct fetch_stream *s)
{
    AUTO_LOCK(&s->fetch->lock);
    if (s->wanted == CLOSED && s->resume == CLOSED)
        return;
    ring_drop(s);
    ask(s, CLOSED);
}

size_t fetch_stream_pull(struct fetch_stream *s, rd_kafka_message_t **messages, size_t max)
{
    size_t n = 0;

    AUTO_LOCK(&s->fetch->lock);
    s->topic->taken_at = clock_mono_ms();
    while (n < max && s->count > 0)
        messages[n++] = ring_take(s);
    if (n == 0 && s->resume != CLOSED)
        ask(s, s->resume);
    return n;
}

void fetch_stream_release(struct fetch_stream *s, rd_kafka_message_t **messages, size_t count)
{
    struct fetch *f = s->fetch;
    size_t bytes = 0;
    bool was_full;

    for (size_t i = 0; i < count; i++) {
        bytes += size_of(messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    AUTO_LOCK(&f->lock);
    s->topic->taken_at = clock_mono_ms();
    was_full = f->used >= f->budget;
    f->used -= bytes;
    if (was_full && f->used < f->budget)
        pthread_cond_signal(&f->changed);
}

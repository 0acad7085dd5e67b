#include "producer/signal_topic.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"

#define POLL_MS 100
#define WATERMARK_MS 2000 /* an answer is waited for that long, asked for again as often */
/* The reader is not told that its topic is gone or another one: it looks by itself. */
#define LOOK_EVERY_MS 10000

struct signal_subscription {
    struct signal_topic *signals;
    char *table;
    void (*wake)(void *arg);
    void *arg;
    struct signal_subscription *next;

    /* under the lock of signals */
    struct signal_queue list;
    int64_t start;
};

struct signal_topic {
    /* set once */
    const struct config *config;
    struct ledger_cache *cache;
    char *topic;
    rd_kafka_t *rk;
    rd_kafka_topic_t *handle;
    pthread_t thread;
    bool started;
    atomic_bool stopping;

    pthread_mutex_t lock;
    struct signal_subscription *queues; /* under lock */

    /* of the thread */
    int64_t position;  /* the next offset to be read; -1: nothing is read */
    int64_t logged_to; /* what is below was logged if need be */
    bool lost_place;   /* the topic does not reach to where it was to be read */
    int64_t looked_ms; /* when the watermarks were last asked for; monotonic */
    bool looked_in_vain;
    rd_kafka_resp_err_t trouble; /* the last one logged */
};

/* ---- queues ---- */

struct signal_subscription *signal_topic_join(struct signal_topic *s, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg)
{
    struct signal_subscription *q = xcalloc(1, sizeof(*q));

    q->signals = s;
    q->table = xstrdup(table);
    q->wake = wake;
    q->arg = arg;
    q->start = MAX(from, -1);
    signal_queue_init(&q->list, q->start);
    AUTO_LOCK(&s->lock);
    q->next = s->queues;
    s->queues = q;
    return q;
}

void signal_topic_leave(struct signal_subscription *q)
{
    struct signal_subscription **at;

    if (!q)
        return;
    pthread_mutex_lock(&q->signals->lock);
    for (at = &q->signals->queues; *at != q; at = &(*at)->next)
        ;
    *at = q->next;
    pthread_mutex_unlock(&q->signals->lock);
    signal_queue_release(&q->list);
    free(q->table);
    free(q);
}

int64_t signal_topic_start_of(struct signal_subscription *q)
{
    AUTO_LOCK(&q->signals->lock);
    return q->start;
}

const struct pending_signal *signal_topic_from(struct signal_subscription *q, int64_t offset)
{
    AUTO_LOCK(&q->signals->lock);
    return signal_queue_from(&q->list, offset);
}

void signal_topic_forget(struct signal_subscription *q, int64_t below)
{
    AUTO_LOCK(&q->signals->lock);
    signal_queue_forget(&q->list, below);
}

/* ---- where to read ---- */

static void log_trouble(struct signal_topic *s, rd_kafka_resp_err_t code)
{
    if (code != s->trouble && code)
        log_warn("signals can't be read now", "topic=%s reason=%s", s->topic,
                 rd_kafka_err2str(code));
    else if (code != s->trouble)
        log_info("signals are read again", "topic=%s", s->topic);
    s->trouble = code;
}

static void read_from(struct signal_topic *s, int64_t offset)
{
    if (s->position >= 0)
        rd_kafka_consume_stop(s->handle, 0); /* what it had fetched is dropped */
    s->position = rd_kafka_consume_start(s->handle, 0, offset) < 0 ? -1 : offset;
}

/* Tables without an offset begin at the end; what a table waits for may have left the topic, or
 * the topic may be another one. Returns the first offset that anyone waits for. */
static int64_t place_queues(struct signal_topic *s, int64_t low, int64_t high)
{
    int64_t first = high;

    AUTO_LOCK(&s->lock);
    for (struct signal_subscription *q = s->queues; q; q = q->next) {
        if (q->start < 0) {
            q->start = high;
            q->wake(q->arg);
        }
        signal_queue_begin(&q->list, MAX(q->start, low));
        if (s->lost_place && q->list.next > high)
            log_warn("signals end before the one that is waited for",
                     "table=%s topic=%s end=%" PRId64 " waited_for=%" PRId64 " reason=%s",
                     q->table, s->topic, high, q->list.next, "was the topic made anew?");
        first = MIN(first, q->list.next);
    }
    return first;
}

static bool waits_for_watermarks(struct signal_topic *s)
{
    AUTO_LOCK(&s->lock);
    for (struct signal_subscription *q = s->queues; q; q = q->next)
        if (q->start < 0)
            return true;
    return s->lost_place;
}

static bool look_is_due(struct signal_topic *s)
{
    int64_t since = clock_mono_ms() - s->looked_ms;

    if (waits_for_watermarks(s))
        return !s->looked_in_vain || since >= WATERMARK_MS;
    return since >= LOOK_EVERY_MS;
}

static void look_at_topic(struct signal_topic *s)
{
    rd_kafka_resp_err_t code;
    int64_t low, high, first;

    if (!look_is_due(s))
        return;
    code = rd_kafka_query_watermark_offsets(s->rk, s->topic, 0, &low, &high, WATERMARK_MS);
    s->looked_ms = clock_mono_ms();
    s->looked_in_vain = code != 0;
    log_trouble(s, code);
    if (code)
        return;
    if (high < s->position)
        s->lost_place = true;
    first = place_queues(s, low, high);
    if (s->lost_place) {
        read_from(s, first);
        s->logged_to = MIN(s->logged_to, first);
    }
    s->lost_place = false;
}

/* The first request that a table with room for it has not seen; -1: none behind the reader. */
static int64_t first_wanted(struct signal_topic *s)
{
    int64_t first = -1;

    AUTO_LOCK(&s->lock);
    for (struct signal_subscription *q = s->queues; q; q = q->next) {
        int64_t wanted = signal_queue_wants(&q->list, s->position);

        if (wanted >= 0 && (first < 0 || wanted < first))
            first = wanted;
    }
    return first;
}

static void go_back(struct signal_topic *s)
{
    int64_t first = first_wanted(s);

    if (first >= 0)
        read_from(s, first);
    if (s->position < 0)
        return;
    AUTO_LOCK(&s->lock);
    for (struct signal_subscription *q = s->queues; q; q = q->next)
        signal_queue_moved(&q->list, s->position);
}

/* ---- reading ---- */

struct search {
    bool found;
};

static void note_place(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct search *search = arg;

    (void)value;
    (void)partition;
    search->found = search->found || rest.len == 0;
}

/* Carried here, or by another instance. */
static bool table_is_carried(struct signal_topic *s, const char *table)
{
    AUTO(free_charp) char *key = xasprintf("place/%s", table);
    struct search search = {0};

    ledger_cache_each(s->cache, key, note_place, &search);
    return search.found && config_wants_table(s->config, table);
}

/* To the table's worker; while a table changes hands within the process it has two. */
static bool offer(struct signal_topic *s, const rd_kafka_message_t *m, const char *table)
{
    bool any = false;

    AUTO_LOCK(&s->lock);
    for (struct signal_subscription *q = s->queues; q; q = q->next) {
        AUTO(table_signal_release) struct table_signal copy = {0};
        struct error ignored; /* it was read before */

        if (strcmp(q->table, table) != 0)
            continue;
        any = true;
        if (!signal_queue_takes(&q->list, m->offset, m->len) ||
            table_signal_decode(&copy, (struct bytes){m->payload, m->len}, &ignored) < 0)
            continue;
        signal_queue_put(&q->list, m->offset, m->len, &copy);
        q->wake(q->arg);
    }
    return any;
}

static void take_message(struct signal_topic *s, const rd_kafka_message_t *m)
{
    AUTO(table_signal_release) struct table_signal signal = {0};
    bool first_time = m->offset >= s->logged_to;
    struct error err;

    s->position = m->offset + 1;
    s->logged_to = MAX(s->logged_to, m->offset + 1);
    if (table_signal_decode(&signal, (struct bytes){m->payload, m->len}, &err) < 0) {
        if (first_time)
            log_warn("signal is passed over", "topic=%s offset=%" PRId64 " reason=%s", s->topic,
                     m->offset, err.message);
        return;
    }
    if (!offer(s, m, signal.table) && first_time && !table_is_carried(s, signal.table))
        log_warn("signal is passed over",
                 "topic=%s offset=%" PRId64 " signal=%s sender=%s table=%s reason=%s", s->topic,
                 m->offset, signal.id, signal.sender, signal.table,
                 "no producer carries this table");
}

static void read_one(struct signal_topic *s)
{
    AUTO(rd_kafka_messagep) rd_kafka_message_t *m = rd_kafka_consume(s->handle, 0, POLL_MS);

    if (!m || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return;
    log_trouble(s, m->err);
    if (!m->err)
        take_message(s, m);
    else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        s->lost_place = true;
}

static void *signals_loop(void *arg)
{
    struct signal_topic *s = arg;

    while (!atomic_load(&s->stopping)) {
        look_at_topic(s);
        go_back(s);
        if (s->position >= 0)
            read_one(s);
        rd_kafka_poll(s->rk, s->position >= 0 ? 0 : POLL_MS);
    }
    return NULL;
}

/* ---- life ---- */

static int open_reader(struct signal_topic *s, const struct config *c, struct error *err)
{
    static const struct kafka_setting settings[] = {
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "error"},
        {"queued.max.messages.kbytes", "4096"},
        {"topic.metadata.refresh.interval.ms", "10000", true},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, c, "signals", settings, err) < 0 ||
        kafka_handle_new(&s->rk, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    s->handle = rd_kafka_topic_new(s->rk, s->topic, NULL);
    CHECK(s->handle);
    return 0;
}

int signal_topic_new(struct signal_topic **ret, const struct config *c,
                     struct ledger_cache *cache, struct error *err)
{
    struct signal_topic *s = xcalloc(1, sizeof(*s));

    s->config = c;
    s->cache = cache;
    s->topic = kafka_signal_topic(c);
    s->position = -1;
    pthread_mutex_init(&s->lock, NULL);
    if (open_reader(s, c, err) < 0 || thread_start(&s->thread, signals_loop, s, err) < 0) {
        signal_topic_free(s);
        return -1;
    }
    s->started = true;
    *ret = s;
    return 0;
}

void signal_topic_stop(struct signal_topic *s)
{
    if (!s || !s->started)
        return;
    atomic_store(&s->stopping, true);
    pthread_join(s->thread, NULL);
    s->started = false;
}

void signal_topic_free(struct signal_topic *s)
{
    if (!s)
        return;
    signal_topic_stop(s);
    CHECK(!s->queues);
    if (s->position >= 0)
        rd_kafka_consume_stop(s->handle, 0);
    if (s->handle)
        rd_kafka_topic_destroy(s->handle);
    if (s->rk)
        rd_kafka_destroy(s->rk);
    pthread_mutex_destroy(&s->lock);
    free(s->topic);
    free(s);
}

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
#define WATERMARK_MS 2000 /* how long an answer is waited for, and then until the next try */
/* librdkafka does not tell that the topic is gone, or is another one: the reader has to look.
 */
#define LOOK_EVERY_MS 10000

struct signal_subscription {
    /* set once */
    struct signal_topic *signals;
    char *table;
    void (*wake)(void *arg);
    void *arg;

    /* under the lock of signals */
    struct signal_subscription *next;
    struct signal_queue queue;
    int64_t start; /* signal_topic_start_of */
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
    struct signal_subscription *subscriptions; /* under lock */

    /* of the thread */
    int64_t position;  /* the next offset to be read; -1: nothing is read */
    int64_t logged_to; /* what had to be logged below this offset was */
    bool lost_place;   /* the topic does not have the offset that was to be read */
    int64_t looked_ms; /* when the watermarks were last asked for; monotonic */
    bool looked_in_vain;
    rd_kafka_resp_err_t trouble; /* the last one logged */
};

/* ---- subscriptions ---- */

struct signal_subscription *signal_topic_join(struct signal_topic *signals, const char *table,
                                              int64_t from, void (*wake)(void *arg), void *arg)
{
    struct signal_subscription *sub = xcalloc(1, sizeof(*sub));

    sub->signals = signals;
    sub->table = xstrdup(table);
    sub->wake = wake;
    sub->arg = arg;
    sub->start = MAX(from, -1);
    signal_queue_init(&sub->queue, sub->start);
    AUTO_LOCK(&signals->lock);
    sub->next = signals->subscriptions;
    signals->subscriptions = sub;
    return sub;
}

void signal_topic_leave(struct signal_subscription *sub)
{
    struct signal_subscription **at;

    if (!sub)
        return;
    pthread_mutex_lock(&sub->signals->lock);
    for (at = &sub->signals->subscriptions; *at != sub; at = &(*at)->next)
        ;
    *at = sub->next;
    pthread_mutex_unlock(&sub->signals->lock);
    signal_queue_release(&sub->queue);
    free(sub->table);
    free(sub);
}

int64_t signal_topic_start_of(struct signal_subscription *sub)
{
    AUTO_LOCK(&sub->signals->lock);
    return sub->start;
}

const struct pending_signal *signal_topic_from(struct signal_subscription *sub, int64_t offset)
{
    AUTO_LOCK(&sub->signals->lock);
    return signal_queue_from(&sub->queue, offset);
}

void signal_topic_forget(struct signal_subscription *sub, int64_t below)
{
    AUTO_LOCK(&sub->signals->lock);
    signal_queue_forget(&sub->queue, below);
}

/* ---- where to read ---- */

static void log_trouble(struct signal_topic *signals, rd_kafka_resp_err_t code)
{
    if (code != signals->trouble && code)
        log_warn("signals can't be read now", "topic=%s reason=%s", signals->topic,
                 rd_kafka_err2str(code));
    else if (code != signals->trouble)
        log_info("signals are read again", "topic=%s", signals->topic);
    signals->trouble = code;
}

static void read_from(struct signal_topic *signals, int64_t offset)
{
    if (signals->position >= 0)
        rd_kafka_consume_stop(signals->handle, 0); /* what it had fetched is dropped */
    signals->position = rd_kafka_consume_start(signals->handle, 0, offset) < 0 ? -1 : offset;
}

/* Tables without an offset begin at the end. The request that a table waits for may have left
 * the topic, or the topic is another one. Returns the first offset that anyone waits for. */
static int64_t place_subscriptions(struct signal_topic *signals, int64_t low, int64_t high)
{
    int64_t first = high;

    AUTO_LOCK(&signals->lock);
    for (struct signal_subscription *sub = signals->subscriptions; sub; sub = sub->next) {
        if (sub->start < 0) {
            sub->start = high;
            sub->wake(sub->arg);
        }
        signal_queue_begin(&sub->queue, MAX(sub->start, low));
        if (signals->lost_place && sub->queue.next > high)
            log_warn("signals end before the one waited for",
                     "table=%s topic=%s end=%" PRId64 " waited_for=%" PRId64 " reason=%s",
                     sub->table, signals->topic, high, sub->queue.next,
                     "was the topic made anew?");
        first = MIN(first, sub->queue.next);
    }
    return first;
}

static bool waits_for_watermarks(struct signal_topic *signals)
{
    AUTO_LOCK(&signals->lock);
    for (struct signal_subscription *sub = signals->subscriptions; sub; sub = sub->next)
        if (sub->start < 0)
            return true;
    return signals->lost_place;
}

static bool look_is_due(struct signal_topic *signals)
{
    int64_t since = clock_mono_ms() - signals->looked_ms;

    if (waits_for_watermarks(signals))
        return !signals->looked_in_vain || since >= WATERMARK_MS;
    return since >= LOOK_EVERY_MS;
}

static void look_at_topic(struct signal_topic *signals)
{
    rd_kafka_resp_err_t code;
    int64_t low, high, first;

    if (!look_is_due(signals))
        return;
    code = rd_kafka_query_watermark_offsets(signals->rk, signals->topic, 0, &low, &high,
                                            WATERMARK_MS);
    signals->looked_ms = clock_mono_ms();
    signals->looked_in_vain = code != 0;
    log_trouble(signals, code);
    if (code)
        return;
    if (high < signals->position)
        signals->lost_place = true;
    first = place_subscriptions(signals, low, high);
    if (signals->lost_place) {
        read_from(signals, first);
        signals->logged_to = MIN(signals->logged_to, first);
    }
    signals->lost_place = false;
}

/* The first request behind the reader that a table missed and now has room for; -1: none. */
static int64_t first_wanted(struct signal_topic *signals)
{
    int64_t first = -1;

    AUTO_LOCK(&signals->lock);
    for (struct signal_subscription *sub = signals->subscriptions; sub; sub = sub->next) {
        int64_t wanted = signal_queue_wants(&sub->queue, signals->position);

        if (wanted >= 0 && (first < 0 || wanted < first))
            first = wanted;
    }
    return first;
}

static void go_back(struct signal_topic *signals)
{
    int64_t first = first_wanted(signals);

    if (first >= 0)
        read_from(signals, first);
    if (signals->position < 0)
        return;
    AUTO_LOCK(&signals->lock);
    for (struct signal_subscription *sub = signals->subscriptions; sub; sub = sub->next)
        signal_queue_moved(&sub->queue, signals->position);
}

/* ---- reading ---- */

/* Here, or by another instance. */
static bool table_is_carried(struct signal_topic *signals, const char *table)
{
    AUTO(free_charp) char *key = xasprintf("place/%s", table);
    AUTO(free_charp) char *place = ledger_cache_value(signals->cache, key);

    return place && config_wants_table(signals->config, table);
}

/* To the table's worker. While a table moves from one worker to another it has two. */
static bool offer(struct signal_topic *signals, const rd_kafka_message_t *message,
                  const char *table)
{
    bool any = false;

    AUTO_LOCK(&signals->lock);
    for (struct signal_subscription *sub = signals->subscriptions; sub; sub = sub->next) {
        AUTO(table_signal_release) struct table_signal copy = {0};
        struct error ignored; /* it was read before */

        if (strcmp(sub->table, table) != 0)
            continue;
        any = true;
        if (!signal_queue_takes(&sub->queue, message->offset, message->len) ||
            table_signal_decode(&copy, (struct bytes){message->payload, message->len},
                                &ignored) < 0)
            continue;
        signal_queue_put(&sub->queue, message->offset, message->len, &copy);
        sub->wake(sub->arg);
    }
    return any;
}

static void take_message(struct signal_topic *signals, const rd_kafka_message_t *message)
{
    AUTO(table_signal_release) struct table_signal signal = {0};
    bool first_time = message->offset >= signals->logged_to;
    struct error err;

    signals->position = message->offset + 1;
    signals->logged_to = MAX(signals->logged_to, message->offset + 1);
    if (table_signal_decode(&signal, (struct bytes){message->payload, message->len}, &err) <
        0) {
        if (first_time)
            log_warn("signal ignored", "topic=%s offset=%" PRId64 " reason=%s", signals->topic,
                     message->offset, err.message);
        return;
    }
    if (!offer(signals, message, signal.table) && first_time &&
        !table_is_carried(signals, signal.table))
        log_warn("signal ignored",
                 "topic=%s offset=%" PRId64 " signal=%s sender=%s table=%s reason=%s",
                 signals->topic, message->offset, signal.id, signal.sender, signal.table,
                 "no producer carries this table");
}

static void read_one(struct signal_topic *signals)
{
    AUTO(rd_kafka_messagep)
    rd_kafka_message_t *message = rd_kafka_consume(signals->handle, 0, POLL_MS);

    if (!message || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return;
    log_trouble(signals, message->err);
    if (!message->err)
        take_message(signals, message);
    else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        signals->lost_place = true;
}

static void *signals_loop(void *arg)
{
    struct signal_topic *signals = arg;

    while (!atomic_load(&signals->stopping)) {
        look_at_topic(signals);
        go_back(signals);
        if (signals->position >= 0)
            read_one(signals);
        rd_kafka_poll(signals->rk, signals->position >= 0 ? 0 : POLL_MS);
    }
    return NULL;
}

/* ---- life ---- */

static int open_reader(struct signal_topic *signals, const struct config *c, struct error *err)
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
        kafka_handle_new(&signals->rk, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    signals->handle = rd_kafka_topic_new(signals->rk, signals->topic, NULL);
    CHECK(signals->handle);
    return 0;
}

int signal_topic_new(struct signal_topic **ret, const struct config *c,
                     struct ledger_cache *cache, struct error *err)
{
    struct signal_topic *signals = xcalloc(1, sizeof(*signals));

    signals->config = c;
    signals->cache = cache;
    signals->topic = kafka_signal_topic(c);
    signals->position = -1;
    pthread_mutex_init(&signals->lock, NULL);
    if (open_reader(signals, c, err) < 0 ||
        thread_start(&signals->thread, signals_loop, signals, err) < 0) {
        signal_topic_free(signals);
        return -1;
    }
    signals->started = true;
    *ret = signals;
    return 0;
}

void signal_topic_stop(struct signal_topic *signals)
{
    if (!signals || !signals->started)
        return;
    atomic_store(&signals->stopping, true);
    pthread_join(signals->thread, NULL);
    signals->started = false;
}

void signal_topic_free(struct signal_topic *signals)
{
    if (!signals)
        return;
    signal_topic_stop(signals);
    CHECK(!signals->subscriptions);
    if (signals->position >= 0)
        rd_kafka_consume_stop(signals->handle, 0);
    if (signals->handle)
        rd_kafka_topic_destroy(signals->handle);
    if (signals->rk)
        rd_kafka_destroy(signals->rk);
    pthread_mutex_destroy(&signals->lock);
    free(signals->topic);
    free(signals);
}

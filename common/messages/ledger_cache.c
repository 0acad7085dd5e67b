#include "common/messages/ledger_cache.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/kafka/kafka.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/ledger_records.h"
#include "common/run/health.h"
#include "common/run/log.h"

#define PROBE_SLOWEST_MS 15000
#define PROBE_TIMEOUT_MS 5000

struct cache_watch { /* of the thread, but for health: set once */
    struct health *health;
    int64_t every_ms;
    int64_t next_ms;
    uint64_t version;
};

struct ledger_cache {
    /* set once */
    char *topic;
    int32_t partitions;
    rd_kafka_t *reader; /* of the thread; others only ask for watermarks */
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool watched; /* set after watch is */

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ledger_records records;
    int64_t *position; /* the next offset to read, per partition */
    uint64_t version;

    struct cache_watch watch;
};

/* ---- the thread ---- */

static void take_message(struct ledger_cache *l, const rd_kafka_message_t *m)
{
    AUTO_LOCK(&l->lock);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        l->position[m->partition] = MAX(l->position[m->partition], m->offset);
    } else if (m->key) {
        ledger_records_put(&l->records, (struct bytes){m->key, m->key_len},
                           (struct bytes){m->payload, m->len}, m->partition);
        l->position[m->partition] = m->offset + 1;
        l->version++;
    }
    pthread_cond_broadcast(&l->changed);
}

/* Read to the end as the brokers tell it, or something was read since the last look. */
static bool made_progress(struct ledger_cache *l, const int64_t *ends)
{
    bool read;

    AUTO_LOCK(&l->lock);
    read = l->version != l->watch.version;
    l->watch.version = l->version;
    for (int32_t p = 0; p < l->partitions && !read; p++)
        if (l->position[p] < ends[p])
            return false;
    return true;
}

static void probe(struct ledger_cache *l)
{
    int64_t *ends;
    struct error err;

    if (clock_mono_ms() < l->watch.next_ms)
        return;
    ends = xcalloc((size_t)l->partitions, sizeof(*ends));
    if (kafka_topic_end_offsets(ends, l->reader, l->topic, 0, l->partitions, PROBE_TIMEOUT_MS,
                                &err) < 0) {
        health_say(l->watch.health, err.message);
    } else if (made_progress(l, ends)) {
        health_alive(l->watch.health);
        health_say(l->watch.health, "");
    } else {
        health_say(l->watch.health, "the end of the topic is not reached");
    }
    free(ends);
    l->watch.next_ms = clock_mono_ms() + l->watch.every_ms;
}

static void *cache_loop(void *arg)
{
    struct ledger_cache *l = arg;

    while (!atomic_load(&l->stopping)) {
        AUTO(rd_kafka_messagep) rd_kafka_message_t *m = rd_kafka_consumer_poll(l->reader, 100);

        if (m && (!m->err || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
            take_message(l, m);
        else if (m)
            log_warn("ledger can't be read", "topic=%s reason=%s", l->topic,
                     rd_kafka_message_errstr(m));
        if (atomic_load(&l->watched))
            probe(l);
    }
    return NULL;
}

static int open_reader(struct ledger_cache *l, const struct config *c, struct error *err)
{
    static const struct kafka_setting settings[] = {
        {"group.id", "dynaferry-ledger-reader"}, {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},         {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},       {"fetch.wait.max.ms", "100"},
        {"queued.max.messages.kbytes", "8192"},  {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, c, "ledger", settings, err) < 0 ||
        kafka_handle_new(&l->reader, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(l->reader);
    if (kafka_topic_partition_count(&l->partitions, l->reader, l->topic, err) < 0)
        return -1;
    if (l->partitions == 0)
        return error_set(err, ERR_RETRY, "there is no topic %s yet", l->topic);
    return 0;
}

static int assign_all(struct ledger_cache *l, struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(l->partitions);
    rd_kafka_resp_err_t code;

    for (int32_t p = 0; p < l->partitions; p++)
        rd_kafka_topic_partition_list_add(list, l->topic, p)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    code = rd_kafka_assign(l->reader, list);
    return code ? error_set(err, ERR_RETRY, "read topic %s: %s", l->topic,
                            rd_kafka_err2str(code))
                : 0;
}

int ledger_cache_new(struct ledger_cache **ret, const struct config *c, struct error *err)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    clock_cond_init(&l->changed);
    l->topic = kafka_ledger_topic(c);
    if (open_reader(l, c, err) < 0 || assign_all(l, err) < 0)
        return -1;
    l->position = xcalloc((size_t)l->partitions, sizeof(*l->position));
    if (thread_start(&l->thread, cache_loop, l, err) < 0)
        return -1;
    *ret = TAKE(l);
    return 0;
}

void ledger_cache_free(struct ledger_cache *l)
{
    if (!l)
        return;
    atomic_store(&l->stopping, true);
    if (l->thread)
        pthread_join(l->thread, NULL);
    if (l->reader) {
        rd_kafka_consumer_close(l->reader);
        rd_kafka_destroy(l->reader);
    }
    ledger_records_release(&l->records);
    pthread_cond_destroy(&l->changed);
    health_remove(l->watch.health);
    pthread_mutex_destroy(&l->lock);
    free(l->position);
    free(l->topic);
    free(l);
}

int ledger_cache_open(struct ledger_cache **ret, const struct config *c, struct error *err)
{
    AUTO(ledger_cache_freep) struct ledger_cache *l = NULL;
    int64_t end = clock_mono_ms() + config_int(c, "start.timeout") * 1000;

    while ((!l && ledger_cache_new(&l, c, err) < 0) ||
           ledger_cache_sync(l, MAX(end - clock_mono_ms(), 1), err) < 0)
        if (kafka_start_again(c, end, err) < 0)
            return -1;
    *ret = TAKE(l);
    return 0;
}

int ledger_cache_sync_to(struct ledger_cache *l, int32_t partition, int64_t offset,
                         int64_t timeout_ms, struct error *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;

    AUTO_LOCK(&l->lock);
    while (l->position[partition] < offset)
        if (clock_cond_wait(&l->changed, &l->lock, end))
            return error_set(err, ERR_RETRY,
                             "ledger partition %" PRId32 " was read to %" PRId64 " of %" PRId64,
                             partition, l->position[partition], offset);
    return 0;
}

int ledger_cache_sync(struct ledger_cache *l, int64_t timeout_ms, struct error *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    int64_t *ends = xcalloc((size_t)l->partitions, sizeof(*ends));
    int result =
        kafka_topic_end_offsets(ends, l->reader, l->topic, 0, l->partitions, timeout_ms, err);

    for (int32_t p = 0; p < l->partitions && result == 0; p++)
        result = ledger_cache_sync_to(l, p, ends[p], end - clock_mono_ms(), err);
    free(ends);
    return result;
}

int32_t ledger_cache_partitions(const struct ledger_cache *l)
{
    return l->partitions;
}

uint64_t ledger_cache_version(struct ledger_cache *l)
{
    AUTO_LOCK(&l->lock);
    return l->version;
}

uint64_t ledger_cache_places_version(struct ledger_cache *l)
{
    AUTO_LOCK(&l->lock);
    return l->records.places_version;
}

void ledger_cache_watch(struct ledger_cache *l, int64_t limit_ms)
{
    l->watch.health = health_new("ledger", limit_ms);
    l->watch.every_ms = MIN(MAX(limit_ms / 4, 100), PROBE_SLOWEST_MS);
    atomic_store(&l->watched, true);
}

char *ledger_cache_value(struct ledger_cache *l, const char *key)
{
    struct bytes value;

    AUTO_LOCK(&l->lock);
    return ledger_records_get(&value, &l->records, key) ? xstrndup(value.p, value.len) : NULL;
}

int ledger_cache_table(struct ledger_cache *l, const char *table, struct ledger_table *ret,
                       struct error *err)
{
    AUTO(free_charp) char *key = xasprintf("table/%s", table);
    struct bytes value;

    AUTO_LOCK(&l->lock);
    if (!ledger_records_get(&value, &l->records, key))
        return 0;
    if (ledger_table_decode(ret, value, err) < 0)
        return error_prefix(err, "%s", key);
    return 1;
}

void ledger_cache_each(struct ledger_cache *l, const char *prefix,
                       void (*each)(void *arg, struct bytes rest, struct bytes value,
                                    int32_t partition),
                       void *arg)
{
    AUTO_LOCK(&l->lock);
    ledger_records_each(&l->records, prefix, each, arg);
}

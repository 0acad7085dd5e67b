#include "consumer/end_offsets.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "consumer/retention.h"

#define ASK_EVERY_MS 2000
#define TIMEOUT_MS 5000
#define HEALTH_LIMIT_MS 60000
#define NOT_ASKED (-77) /* no offset of Kafka's */

struct end_offsets {
    /* set once */
    struct end_offsets_setup setup;
    char *ledger_topic; /* asked for, too: Kafka's health with no partition assigned */
    pthread_t thread;
    struct health *health;
    struct retention *retention;

    atomic_llong answered_at;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int running; /* 1: the thread */
};

/* ---- one look ---- */

static void list_assigned(void *arg, struct partition *p)
{
    p->offset_before = atomic_load(&p->offset);
    if (atomic_load(&p->assigned))
        rd_kafka_topic_partition_list_add(arg, p->topic, p->number)->offset =
            RD_KAFKA_OFFSET_END; /* the "time" that stands for the end */
}

/* Behind the others, of the same list: their lag is another consumer's. */
static void list_given_up(void *arg, struct partition *p)
{
    if (!atomic_load(&p->assigned))
        rd_kafka_topic_partition_list_add(arg, p->topic, p->number)->offset = NOT_ASKED;
}

/* -1: the brokers did not tell all. Others are told all the same. */
static int ask(struct end_offsets *ends, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(ends->setup.rk, list, TIMEOUT_MS);
    int result = code ? -1 : 0;

    if (code)
        log_debug("log ends not known", "reason=%s", rd_kafka_err2str(code));
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err || list->elems[i].offset < 0)
            result = -1;
    return result;
}

static void show_topic_lag(struct end_offsets *ends, const char *topic, int64_t lag)
{
    struct table *table = tables_of_topic(ends->setup.tables, topic);

    if (table && !table->filtered)
        metric_set(table->metrics.lag, lag);
}

/* What was confirmed before the brokers were asked is behind no end of the same log. */
static bool shrank(const struct partition *p, const rd_kafka_topic_partition_t *tp)
{
    return tp->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           (!tp->err && tp->offset >= 0 && tp->offset < p->offset_before);
}

static void show_end(struct partition *p, const rd_kafka_topic_partition_t *tp)
{
    if (!tp->err && tp->offset >= 0)
        atomic_store(&p->log_end, tp->offset);
    if (tp->offset == NOT_ASKED || !shrank(p, tp))
        return;
    atomic_store(&p->log_shrank, true);
    partition_wake(p);
}

/* The list is sorted by topic. */
static void show(struct end_offsets *ends, const rd_kafka_topic_partition_list_t *list)
{
    int64_t of_topic = 0;

    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];
        struct partition *p = dispatcher_find(ends->setup.dispatcher, tp->topic, tp->partition);
        bool last = i + 1 == list->cnt || strcmp(list->elems[i + 1].topic, tp->topic) != 0;

        if (p)
            show_end(p, tp);
        if (p && tp->offset != NOT_ASKED)
            of_topic += partition_lag(p);
        if (!last)
            continue;
        if (p)
            show_topic_lag(ends, tp->topic, of_topic);
        of_topic = 0;
    }
}

static void look(struct end_offsets *ends)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);
    int64_t asked_at = clock_mono_ms();
    bool answered;

    dispatcher_each(ends->setup.dispatcher, list_assigned, list);
    rd_kafka_topic_partition_list_add(list, ends->ledger_topic, 0)->offset =
        RD_KAFKA_OFFSET_END;
    answered = ask(ends, list) == 0;
    dispatcher_each(ends->setup.dispatcher, list_given_up, list);
    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    show(ends, list);
    if (!answered)
        return;
    atomic_store(&ends->answered_at, asked_at); /* behind what was told: it proves that */
    health_alive(ends->health);
    retention_look(ends->retention);
}

/* ---- the thread ---- */

static bool wait_for_time(struct end_offsets *ends, int64_t at)
{
    AUTO_LOCK(&ends->lock);
    while (!ends->stopping)
        if (clock_cond_wait(&ends->changed, &ends->lock, at))
            return true;
    return false;
}

static void *end_offsets_loop(void *arg)
{
    struct end_offsets *ends = arg;

    do
        look(ends);
    while (wait_for_time(ends, clock_mono_ms() + ASK_EVERY_MS));
    AUTO_LOCK(&ends->lock);
    ends->running = 0;
    pthread_cond_broadcast(&ends->changed);
    return NULL;
}

struct end_offsets *end_offsets_new(const struct end_offsets_setup *setup)
{
    const struct retention_setup retain = {.config = setup->config,
                                           .rk = setup->rk,
                                           .dispatcher = setup->dispatcher,
                                           .tables = setup->tables,
                                           .ledger = setup->ledger};
    struct end_offsets *ends = xcalloc(1, sizeof(*ends));

    ends->setup = *setup;
    ends->running = 1;
    ends->ledger_topic = kafka_ledger_topic(setup->config);
    ends->health = health_get("kafka", HEALTH_LIMIT_MS);
    ends->retention = retention_new(&retain);
    atomic_init(&ends->answered_at, clock_mono_ms());
    pthread_mutex_init(&ends->lock, NULL);
    clock_cond_init(&ends->changed);
    CHECK(pthread_create(&ends->thread, NULL, end_offsets_loop, ends) == 0);
    return ends;
}

bool end_offsets_stop(struct end_offsets *ends, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    {
        AUTO_LOCK(&ends->lock);
        ends->stopping = true;
        pthread_cond_broadcast(&ends->changed);
        if (!clock_cond_wait_zero(&ends->changed, &ends->lock, &ends->running, until))
            return false;
    }
    pthread_join(ends->thread, NULL);
    return true;
}

void end_offsets_free(struct end_offsets *ends)
{
    if (!ends)
        return;
    retention_free(ends->retention);
    health_remove(ends->health);
    pthread_cond_destroy(&ends->changed);
    pthread_mutex_destroy(&ends->lock);
    free(ends->ledger_topic);
    free(ends);
}

int64_t end_offsets_age_ms(struct end_offsets *ends)
{
    return clock_mono_ms() - atomic_load(&ends->answered_at);
}

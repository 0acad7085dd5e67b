#include "consumer/group.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/messages/ledger_cache.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "common/run/notify.h"
#include "common/run/progress.h"
#include "common/run/stop.h"
#include "consumer/dead_letters.h"
#include "consumer/dispatcher.h"
#include "consumer/end_offsets.h"
#include "consumer/fetch.h"

#define POLL_MS 100
#define COMMIT_MS 5000
#define TABLES_WAIT_MS 3000
#define RELEASE_MS 3000 /* below half a session */
#define HEALTH_LIMIT_MS 60000
#define ENDS_LIMIT_MS 15000 /* what the brokers said is no proof any more */

struct group {
    struct consumer *consumer;
    rd_kafka_t *rk;
    char *name;
    char *prefix; /* of data topics: "<topic.prefix>." */
    bool member;  /* the last word of the group was an assignment */
    struct health *health;
    struct progress *progress;
    int64_t commit_at;
    int64_t moved_at; /* when the sum of the offsets last changed */
    int64_t offsets;  /* that sum */
};

/* ---- rebalances ---- */

static void assign_all(struct group *g, const rd_kafka_topic_partition_list_t *list)
{
    struct dispatcher *dispatcher = g->consumer->dispatcher;
    size_t n = strlen(g->prefix);

    log_info("partitions assigned", "group=%s partitions=%d", g->name, list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (strncmp(tp->topic, g->prefix, n) == 0)
            dispatcher_assign(dispatcher,
                              dispatcher_partition(dispatcher, tp->topic, tp->partition));
    }
    g->member = true;
    g->moved_at = clock_mono_ms();
}

static void revoke_one(struct group *g, const rd_kafka_topic_partition_t *tp)
{
    struct dispatcher *dispatcher = g->consumer->dispatcher;
    struct partition *p = dispatcher_find(dispatcher, tp->topic, tp->partition);

    if (p)
        dispatcher_revoke(dispatcher, p);
}

/* For lag tools alone: where to begin stands in the target. */
static void commit(struct group *g, const rd_kafka_topic_partition_list_t *assigned)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(assigned->cnt);

    for (int i = 0; i < assigned->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &assigned->elems[i];
        struct partition *p =
            dispatcher_find(g->consumer->dispatcher, tp->topic, tp->partition);
        int64_t offset = p ? atomic_load(&p->offset) : POSITION_NONE;

        if (offset >= 0)
            rd_kafka_topic_partition_list_add(list, tp->topic, tp->partition)->offset = offset;
    }
    if (list->cnt > 0)
        rd_kafka_commit(g->rk, list, 1);
}

static void revoke_all(struct group *g, const rd_kafka_topic_partition_list_t *list)
{
    log_info("partitions revoked", "group=%s partitions=%d", g->name, list->cnt);
    for (int i = 0; i < list->cnt; i++)
        revoke_one(g, &list->elems[i]);
    g->member = false;
    if (!atomic_load(&g->consumer->ending) &&
        !dispatcher_wait_released(g->consumer->dispatcher, false, RELEASE_MS))
        log_warn("partitions left without a goodbye", "group=%s", g->name);
    if (!rd_kafka_assignment_lost(g->rk))
        commit(g, list);
}

/* The handle itself reads nothing: it is told of an empty list, which answers the rebalance. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct group *g = opaque;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        AUTO(rd_kafka_listp)
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);

        rd_kafka_assign(rk, none);
        assign_all(g, list);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        log_warn("rebalance failed", "group=%s reason=%s", g->name, rd_kafka_err2str(code));
    revoke_all(g, list);
    rd_kafka_assign(rk, NULL);
}

/* ---- the handle ---- */

static int open_handle(struct group *g, struct error *err)
{
    const struct config *config = g->consumer->config;
    AUTO(free_charp) char *session = xasprintf("%d", GROUP_SESSION_MS);
    bool fixed = config_is_set(config, "instance.id");
    const struct kafka_setting settings[] = {
        {"group.id", g->name},
        {"partition.assignment.strategy", "roundrobin"}, /* eager: 2.0.2's cooperative loops */
        {"session.timeout.ms", session},
        {"heartbeat.interval.ms", "1000"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"isolation.level", "read_committed"},
        {"topic.metadata.refresh.interval.ms", "10000"},
        {fixed ? "group.instance.id" : NULL, config_string(config, "instance.id")},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (kafka_conf_new(&conf, config, "consumer", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_opaque(conf, g);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    if (kafka_handle_new(&g->rk, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(g->rk);
    return 0;
}

static int subscribe(struct group *g, struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    AUTO(free_charp) char *pattern = NULL;
    rd_kafka_resp_err_t code;

    /* the prefix holds letters, digits, - and _ only */
    pattern = xasprintf("^%s\\..*", config_string(g->consumer->config, "topic.prefix"));
    rd_kafka_topic_partition_list_add(list, pattern, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(g->rk, list);
    return code ? error_fatal(err, EXIT_FATAL, "subscribe to %s: %s", pattern,
                              rd_kafka_err2str(code))
                : 0;
}

int group_new(struct group **ret, struct consumer *c, struct error *err)
{
    AUTO(group_freep) struct group *g = xcalloc(1, sizeof(*g));

    g->consumer = c;
    g->name = xstrdup(config_string(c->config, "consumer.group"));
    g->prefix = xasprintf("%s.", config_string(c->config, "topic.prefix"));
    g->progress = progress_new(true);
    if (open_handle(g, err) < 0)
        return -1;
    *ret = TAKE(g);
    return 0;
}

void group_free(struct group *g)
{
    if (!g)
        return;
    if (g->rk)
        rd_kafka_destroy(g->rk);
    progress_free(g->progress);
    free(g->name);
    free(g->prefix);
    free(g);
}

/* ---- serving ---- */

static int check_fatal(struct group *g, struct error *err)
{
    char reason[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(g->rk, reason, sizeof(reason));

    if (!code)
        return 0;
    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "another consumer with this instance.id took its place in group %s",
                           g->name);
    return error_fatal(err, EXIT_FATAL, "group %s: %s", g->name, reason);
}

static int poll_once(struct group *g, struct error *err)
{
    AUTO(rd_kafka_messagep) rd_kafka_message_t *m = rd_kafka_consumer_poll(g->rk, POLL_MS);

    notify_turn();
    atomic_store(&g->consumer->last_poll, clock_mono_ms());
    rd_kafka_poll(fetch_handle(g->consumer->fetch), 0);
    dead_letters_poll(g->consumer->letters, 0);
    if (g->member)
        health_alive(g->health);
    if (m && m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        log_debug("no data topics yet", "group=%s", g->name);
    else if (m && m->err)
        log_warn("group error", "group=%s reason=%s", g->name, rd_kafka_message_errstr(m));
    return check_fatal(g, err);
}

struct census {
    int64_t offsets;
    int busy;
    int halted;
};

static void count_one(void *arg, struct partition *p)
{
    struct census *census = arg;
    int64_t log_end = atomic_load(&p->log_end);

    if (!atomic_load(&p->assigned) || atomic_load(&p->left_out))
        return;
    census->offsets += atomic_load(&p->offset);
    if (atomic_load(&p->halted_shown))
        census->halted++;
    else if (!atomic_load(&p->idle) || log_end < 0 || atomic_load(&p->end_shown) < log_end)
        census->busy++;
}

/* Everything was applied, and nothing came for that long when the brokers were last asked:
 * brokers that are away say nothing of what came. */
static bool is_idle_for(struct group *g, int64_t ms, int *halted)
{
    int64_t age_ms = end_offsets_age_ms(g->consumer->ends);
    struct census census = {0};
    int64_t now = clock_mono_ms();

    dispatcher_each(g->consumer->dispatcher, count_one, &census);
    if (census.offsets != g->offsets || census.busy > 0 || !g->member || age_ms > ENDS_LIMIT_MS)
        g->moved_at = now;
    g->offsets = census.offsets;
    *halted = census.halted;
    return now - age_ms - g->moved_at >= ms;
}

static void list_assigned(void *arg, struct partition *p)
{
    if (atomic_load(&p->assigned))
        rd_kafka_topic_partition_list_add(arg, p->topic, p->number);
}

static void commit_now_and_then(struct group *g)
{
    AUTO(rd_kafka_listp) rd_kafka_topic_partition_list_t *list = NULL;

    if (clock_mono_ms() < g->commit_at)
        return;
    g->commit_at = clock_mono_ms() + COMMIT_MS;
    list = rd_kafka_topic_partition_list_new(16);
    dispatcher_each(g->consumer->dispatcher, list_assigned, list);
    commit(g, list);
}

static void count_record(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    int *n = arg;

    (void)rest;
    (void)value;
    (void)partition;
    (*n)++;
}

/* A topic that comes after the joining is seen only at the next refresh: so at the first start
 * it is worth waiting until the producer has begun all tables that it placed, for a while. */
static void wait_for_tables(struct group *g)
{
    int64_t first_at = 0;

    do {
        int placed = 0, begun = 0;

        ledger_cache_each(g->consumer->ledger, "place/", count_record, &placed);
        ledger_cache_each(g->consumer->ledger, "table/", count_record, &begun);
        if (begun > 0 && begun >= placed)
            return;
        if (begun > 0 && !first_at)
            first_at = clock_mono_ms();
    } while (!(first_at && clock_mono_ms() - first_at > TABLES_WAIT_MS) && !stop_wait_ms(100));
}

/* What a halted partition has left is not known to go on. */
static void note_table(void *progress, const struct table *table)
{
    const struct table_metrics *metrics = &table->metrics;
    bool halted = metric_value(metrics->failed) != 0;

    progress_note(progress,
                  &(struct progress_work){
                      .table = table->name,
                      .what = "records",
                      .did = "applied",
                      .done = metric_value(metrics->applied) + metric_value(metrics->deleted),
                      .left = halted ? PROGRESS_NOT_KNOWN : metric_value(metrics->lag),
                      .state = halted ? PROGRESS_STANDS : PROGRESS_RUNS});
}

static void look_at_progress(struct group *g)
{
    progress_begin_look(g->progress);
    tables_each(g->consumer->tables, note_table, g->progress);
    progress_end_look(g->progress);
}

/* How many partitions are halted, or -1. */
static int serve(struct group *g, int64_t until_idle_ms, struct error *err)
{
    int halted = 0;

    while (!stop_requested()) {
        if (poll_once(g, err) < 0)
            return -1;
        commit_now_and_then(g);
        if (progress_is_due(g->progress))
            look_at_progress(g);
        if (until_idle_ms >= 0 && is_idle_for(g, until_idle_ms, &halted))
            break;
    }
    return halted;
}

int group_run(struct group *g, int64_t until_idle_ms, struct error *err)
{
    int halted;

    wait_for_tables(g);
    if (subscribe(g, err) < 0)
        return -1;
    log_info("joining the group", "group=%s owner=%s", g->name, g->consumer->me);
    g->health = health_get("group", HEALTH_LIMIT_MS);
    halted = serve(g, until_idle_ms, err);
    look_at_progress(g);
    progress_end(g->progress);
    if (halted > 0)
        return error_fatal(err, EXIT_FATAL, "%d partitions are halted", halted);
    return halted;
}

bool group_leave(struct group *g, int64_t timeout_ms)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    bool all;

    atomic_store(&g->consumer->ending, true);
    dispatcher_each(g->consumer->dispatcher, list_assigned, list);
    dispatcher_revoke_all(g->consumer->dispatcher);
    all = dispatcher_wait_released(g->consumer->dispatcher, true, timeout_ms);
    commit(g, list);
    rd_kafka_consumer_close(g->rk);
    return all;
}

#include "producer/owner.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/backoff.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/progress.h"
#include "common/run/stop.h"
#include "producer/full_end.h"
#include "producer/ledger_partition.h"
#include "producer/owner_view.h"
#include "producer/plan.h"
#include "producer/poison.h"
#include "producer/source_identity.h"
#include "producer/table_worker.h"

#define POLL_MS 50
#define FULL_LOOK_MS 500
#define SESSION_MS 10000
#define PROVEN_MS 10000 /* a handle that was open for so long works */
#define REOPEN_FLOOR_MS 200

struct place {
    bool assigned;
    struct ledger_partition *open;
    int64_t opened_ms;
    int64_t next_try_ms;
    struct backoff backoff;
    struct health *health; /* while it is assigned and there is something to do in it */
};

struct owner { /* of the main thread */
    struct producer *p;
    rd_kafka_t *group;
    bool is_member;
    int64_t assigned_ms;   /* the last rebalance */
    struct health *health; /* "group" */
    int64_t health_limit_ms;
    struct place *places; /* one a ledger partition */
    int32_t count;
    struct plan *plan;

    struct owner_view view;
    struct halted *halted;
    struct health *unplaced; /* "placement", while nobody may ever place what we want */
    bool view_is_old;
    uint64_t seen_version; /* of the cache's places, when the view was made */

    int64_t full_looked_ms;
};

static void close_partition(struct owner *o, int32_t partition)
{
    struct place *place = &o->places[partition];

    if (!place->open)
        return;
    if (partition == 0 && o->plan)
        plan_stop(TAKE(o->plan));
    ledger_partition_close(TAKE(place->open));
    log_info("ledger partition is given back", "ledger_partition=%" PRId32, partition);
}

static bool is_alone(const struct owner *o)
{
    for (int32_t p = 0; p < o->count; p++)
        if (!o->places[p].assigned)
            return false;
    return true;
}

static bool owns_any(const struct owner *o)
{
    for (int32_t p = 0; p < o->count; p++)
        if (o->places[p].assigned)
            return true;
    return false;
}

/* ---- the group ---- */

static void set_assigned(struct owner *o, const rd_kafka_topic_partition_list_t *list)
{
    for (int32_t p = 0; p < o->count; p++) {
        bool assigned =
            list && rd_kafka_topic_partition_list_find((void *)list, o->p->ledger_topic, p);

        if (!assigned) {
            close_partition(o, p);
            poison_clear(o->p->poison[p]); /* another may handle what it is about */
            health_remove(TAKE(o->places[p].health));
        }
        o->places[p].assigned = assigned;
    }
    o->is_member = list != NULL;
    o->assigned_ms = clock_mono_ms();
    o->view_is_old = true;
    if (o->plan)
        plan_set_alone(o->plan, is_alone(o));
}

/* Nothing is read through the group's handle: what is assigned is paused. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct owner *o = opaque;

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_assign(rk, list);
        rd_kafka_pause_partitions(rk, list);
        log_info("ledger partitions are assigned", "count=%d", list->cnt);
        set_assigned(o, list);
        return;
    }
    set_assigned(o, NULL);
    rd_kafka_assign(rk, NULL);
}

static int join_group(struct owner *o, struct error *err)
{
    AUTO(free_charp) char *id = xasprintf("%s-producer", o->p->prefix);
    const char *instance = config_string(o->p->config, "instance.id");
    bool is_static = config_is_set(o->p->config, "instance.id");
    AUTO(free_charp) char *session = xasprintf("%d", SESSION_MS);
    const struct kafka_setting settings[] = {{"group.id", id},
                                             {"partition.assignment.strategy", "roundrobin"},
                                             {"session.timeout.ms", session},
                                             {"heartbeat.interval.ms", "2000", true},
                                             {"enable.auto.commit", "false"},
                                             {"auto.offset.reset", "latest"},
                                             {is_static ? "group.instance.id" : NULL, instance},
                                             {NULL, NULL}};
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_conf_t *conf = NULL;
    rd_kafka_resp_err_t code;

    if (kafka_conf_new(&conf, o->p->config, "owner", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, o);
    if (kafka_handle_new(&o->group, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(o->group);
    rd_kafka_topic_partition_list_add(topics, o->p->ledger_topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(o->group, topics);
    return code ? error_set(err, ERR_FATAL, "subscribe: %s", rd_kafka_err2str(code)) : 0;
}

static int poll_group(struct owner *o, struct error *err)
{
    AUTO(rd_kafka_messagep) rd_kafka_message_t *m = rd_kafka_consumer_poll(o->group, POLL_MS);
    char text[256];
    rd_kafka_resp_err_t fatal;

    if (m && m->err) {
        log_warn("group", "reason=%s", rd_kafka_message_errstr(m));
        health_say(o->health, rd_kafka_message_errstr(m));
    }
    fatal = rd_kafka_fatal_error(o->group, text, sizeof(text));
    if (fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return error_fatal(err, EXIT_CONFIGURATION, "another instance runs with instance.id %s",
                           config_string(o->p->config, "instance.id"));
    if (fatal)
        return error_fatal(err, EXIT_FATAL, "group: %s", text);
    if (m && m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return error_fatal(err, EXIT_NO_RIGHT, "no right to join the group %s-producer",
                           o->p->prefix);
    return 0;
}

/* ---- health ---- */

static bool has_work(const struct owner *o, int32_t partition)
{
    const struct view_partition *v = &o->view.partitions[partition];

    return partition == 0 || v->count > 0 || v->forgotten_count > 0;
}

/* A handle that is opened and lost again and again is no progress. */
static bool is_proven(const struct owner *o, const struct place *place)
{
    return place->open &&
           (topic_writer_was_of_use(ledger_partition_writer(place->open)) ||
            clock_mono_ms() - place->opened_ms >= MIN(PROVEN_MS, o->health_limit_ms / 2));
}

static void show_partition(struct owner *o, int32_t partition)
{
    struct place *place = &o->places[partition];

    if (!place->assigned || !has_work(o, partition)) {
        health_remove(TAKE(place->health));
        return;
    }
    if (!place->health) {
        AUTO(free_charp) char *name = xasprintf("ledger partition %" PRId32, partition);

        place->health = health_new(name, o->health_limit_ms);
    }
    if (!is_proven(o, place))
        return;
    backoff_reset(&place->backoff);
    health_say(place->health, "");
    health_alive(place->health);
}

static void show_health(struct owner *o)
{
    if (o->is_member) {
        health_say(o->health, "");
        health_alive(o->health);
    }
    owner_view_tell_unplaced(&o->unplaced, &o->view, o->p->config, owns_any(o));
    for (int32_t p = 0; p < o->count; p++)
        show_partition(o, p);
}

/* While this thread waits for one thing, it can't say that the others are well: those that are
 * get the time that it may take, and none of the others does. */
static void set_limits(struct owner *o, int64_t limit_ms)
{
    if (o->is_member)
        health_set_limit(o->health, limit_ms);
    for (int32_t p = 0; p < o->count; p++)
        if (o->places[p].health && is_proven(o, &o->places[p]))
            health_set_limit(o->places[p].health, limit_ms);
}

/* ---- opening ---- */

static int open_partition(struct owner *o, int32_t partition, struct error *err)
{
    struct place *place = &o->places[partition];
    int64_t started = clock_mono_ms();
    int result;

    set_limits(o, o->health_limit_ms + LEDGER_PARTITION_OPEN_MS);
    result = ledger_partition_open(&place->open, o->p, partition, err);
    show_health(o);
    set_limits(o, o->health_limit_ms);
    if (result < 0) {
        if (err->kind == ERR_FATAL)
            return -1;
        place->next_try_ms = clock_mono_ms() + backoff_next_ms(&place->backoff);
        if (place->health)
            health_say(place->health, err->message);
        log_warn("ledger partition can't be opened now",
                 "ledger_partition=%" PRId32 " reason=%s", partition, err->message);
        return 0;
    }
    place->opened_ms = clock_mono_ms();
    log_info("ledger partition is ours", "ledger_partition=%" PRId32 " took_ms=%" PRId64,
             partition, place->opened_ms - started);
    o->view_is_old = true;
    return 0;
}

/* A fenced, broken or outdated handle is closed; it comes back by the same way as any
 * take-over, if still assigned. */
static void check_open(struct owner *o, int32_t partition)
{
    struct place *place = &o->places[partition];
    struct topic_writer *w = ledger_partition_writer(place->open);
    enum topic_writer_state state = topic_writer_state(w);

    if (state == WRITER_OPEN && !topic_writer_is_outdated(w))
        return;
    if (state == WRITER_FENCED)
        poison_clear(o->p->poison[partition]);
    if (topic_writer_was_of_use(w)) /* also one that was given up before anybody looked */
        backoff_reset(&place->backoff);
    close_partition(o, partition);
    place->next_try_ms = clock_mono_ms() + REOPEN_FLOOR_MS + backoff_next_ms(&place->backoff);
    if (place->health)
        health_say(place->health, state == WRITER_FENCED ? "another instance took it over"
                                                         : "its handle was given up");
}

/* What is open carries what the view says. */
static void start_work(struct owner *o, int32_t partition)
{
    const struct view_partition *v = &o->view.partitions[partition];
    struct ledger_partition *lp = o->places[partition].open;

    ledger_partition_start(lp);
    if (partition == 0 && !o->plan)
        o->plan = plan_start(o->p, lp, is_alone(o));
    ledger_partition_start_tables(lp, v->tables, v->count);
    for (size_t i = 0; i < v->forgotten_count; i++)
        ledger_partition_forget(lp, v->forgotten[i]);
}

static bool look_at_places(struct owner *o)
{
    uint64_t version = ledger_cache_places_version(o->p->cache);
    bool *assigned = NULL;

    if (version == o->seen_version && !o->view_is_old)
        return false;
    if (o->is_member) {
        assigned = xcalloc((size_t)o->count, sizeof(*assigned));
        for (int32_t p = 0; p < o->count; p++)
            assigned[p] = o->places[p].assigned;
    }
    owner_view_release(&o->view);
    owner_view_read(&o->view, o->p, assigned, o->halted);
    free(assigned);
    o->seen_version = version;
    o->view_is_old = false;
    return true;
}

/* Who is alone tells nobody; what carries tables says it by the way. */
static bool is_to_announce(const struct owner *o, int32_t partition)
{
    return o->view.partitions[partition].announce && !is_alone(o);
}

static bool is_to_open(const struct owner *o, int32_t partition)
{
    const struct place *place = &o->places[partition];

    return place->assigned && !place->open && clock_mono_ms() >= place->next_try_ms &&
           (has_work(o, partition) || is_to_announce(o, partition));
}

/* Opens at most one partition a call, so that the group is polled between; those with tables
 * first. */
static int open_next(struct owner *o, struct error *err)
{
    int32_t next = -1;

    for (int32_t p = 0; p < o->count; p++)
        if (is_to_open(o, p) && (next < 0 || (has_work(o, p) && !has_work(o, next))))
            next = p;
    return next < 0 ? 0 : open_partition(o, next, err);
}

/* One that was opened only to say who carries it is not needed any more. */
static bool is_said(const struct owner *o, int32_t partition)
{
    return !has_work(o, partition) && !is_to_announce(o, partition) &&
           ledger_partition_is_idle(o->places[partition].open);
}

static int tend_partitions(struct owner *o, struct error *err)
{
    int ours = source_identity_check(o->p->identity, err);
    bool changed;

    if (ours < 0)
        return -1;
    changed = look_at_places(o);
    for (int32_t p = 0; p < o->count; p++) {
        if (o->places[p].open)
            check_open(o, p);
        if (!o->places[p].open)
            continue;
        if (changed && ours)
            start_work(o, p);
        ledger_partition_tend(o->places[p].open);
        if (is_said(o, p))
            close_partition(o, p);
    }
    if (changed && !ours)
        o->view_is_old = true;
    show_health(o);
    return ours ? open_next(o, err) : 0;
}

/* ---- sync_mode full ends by itself ---- */

static int64_t patience_ms(const struct owner *o)
{
    return config_int(o->p->config, "start.timeout") * 1000;
}

static enum full_table full_table_of(void *arg, const char *table, int32_t partition,
                                     char *reason, size_t size)
{
    struct owner *o = arg;
    struct place *place = &o->places[partition];
    struct table_worker *w;

    if (!place->assigned)
        return FULL_ELSEWHERE;
    w = place->open ? ledger_partition_table(place->open, table) : NULL;
    if (!w)
        return FULL_UNDER_WAY;
    if (table_worker_is_over(w))
        return FULL_OVER;
    return table_worker_stuck(w, patience_ms(o), reason, size) ? FULL_STUCK : FULL_UNDER_WAY;
}

/* As full_end. Who dies elsewhere is missed by the group when its session is over; who lives
 * has begun, or calls its table stuck, in the patience that each has. */
static int full_is_over(struct owner *o, struct error *err)
{
    int64_t now_ms = clock_mono_ms();
    const struct full_asked asked = {
        .p = o->p,
        .halted = o->halted,
        .is_settled = o->plan && plan_is_settled(o->plan),
        .table = full_table_of,
        .is_stable = now_ms - o->assigned_ms > SESSION_MS + patience_ms(o),
        .arg = o,
    };

    if (!o->is_member || now_ms - o->full_looked_ms < FULL_LOOK_MS ||
        (o->plan && !asked.is_settled) || (o->places[0].assigned && !o->plan))
        return 0;
    o->full_looked_ms = now_ms;
    return full_end(&asked, err);
}

/* ---- the loop ---- */

static void show_progress(struct progress *progress, struct owner *o)
{
    int64_t rows = 0, left = 0;

    if (!progress_is_due(progress))
        return;
    for (int32_t p = 0; p < o->count; p++)
        if (o->places[p].open)
            ledger_partition_add_progress(o->places[p].open, &rows, &left);
    progress_show(progress, "rows", rows, left);
}

/* What is asked for, and how old positions are, goes by the service's clock. */
static void tell_skew(struct owner *o)
{
    int64_t skew_ms;

    switch (ddb_source_skew_news(o->p->source, &skew_ms)) {
    case DDB_SKEW_LARGE:
        log_warn("this machine's clock and the service's differ",
                 "service_is_ahead_ms=%" PRId64, skew_ms);
        break;
    case DDB_SKEW_GONE:
        log_info("this machine's clock and the service's agree again", NULL);
        break;
    case DDB_SKEW_SAME:
        break;
    }
}

static int loop(struct owner *o, struct error *err)
{
    struct progress progress = {0};

    while (!stop_requested()) {
        int over = 0;

        if (poll_group(o, err) < 0 || tend_partitions(o, err) < 0)
            return -1;
        show_progress(&progress, o);
        tell_skew(o);
        if (o->p->mode == SYNC_FULL)
            over = full_is_over(o, err);
        if (over > 0)
            log_info("the snapshot of every table is committed", NULL);
        if (over)
            return over < 0 ? -1 : 0;
    }
    return 0;
}

static void leave(struct owner *o)
{
    for (int32_t p = 0; p < o->count; p++)
        close_partition(o, p);
    if (o->group) {
        rd_kafka_consumer_close(o->group);
        rd_kafka_destroy(o->group);
    }
    for (int32_t p = 0; p < o->count; p++)
        health_remove(o->places[p].health);
    health_remove(o->unplaced);
    health_remove(o->health);
    owner_view_release(&o->view);
    halted_free(o->halted);
    free(o->places);
}

int owner_run(struct producer *p, struct error *err)
{
    struct owner o = {.p = p,
                      .count = ledger_cache_partitions(p->cache),
                      .health_limit_ms = config_int(p->config, "health.limit.ms"),
                      .view_is_old = true};
    int result;

    o.places = xcalloc((size_t)o.count, sizeof(*o.places));
    for (int32_t i = 0; i < o.count; i++)
        backoff_init(&o.places[i].backoff, 100, 5000, NULL, NULL);
    o.halted = halted_new();
    o.health = health_new("group", o.health_limit_ms);
    look_at_places(&o);
    result = join_group(&o, err);
    if (result == 0)
        result = loop(&o, err);
    leave(&o);
    return result;
}

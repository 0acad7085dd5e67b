#include "producer/owner.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/exit_code.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/stop.h"
#include "producer/ledger_partition.h"
#include "producer/plan.h"
#include "producer/refusals.h"

#define POLL_MS 50

struct place {
    bool assigned;
    struct ledger_partition *open;
    int64_t next_try_ms;
    struct backoff backoff;
};

struct owner { /* of the main thread */
    struct producer *p;
    rd_kafka_t *group;
    struct place *places; /* one a ledger partition */
    int32_t count;
    struct plan *plan;
    uint64_t seen_version; /* of the cache, when tables were last looked for */
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

/* ---- the group ---- */

static void set_assigned(struct owner *o, const rd_kafka_topic_partition_list_t *list)
{
    for (int32_t p = 0; p < o->count; p++) {
        bool assigned =
            list && rd_kafka_topic_partition_list_find((void *)list, o->p->ledger_topic, p);

        if (!assigned) {
            close_partition(o, p);
            refusals_clear(o->p->refusals[p]); /* another may handle what it is about */
        }
        o->places[p].assigned = assigned;
    }
    o->seen_version = 0;
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
    const struct kafka_setting settings[] = {{"group.id", id},
                                             {"partition.assignment.strategy", "roundrobin"},
                                             {"session.timeout.ms", "10000"},
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

    if (m && m->err)
        log_warn("group", "reason=%s", rd_kafka_message_errstr(m));
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

/* ---- opening ---- */

static bool has_tables(struct owner *o, int32_t partition)
{
    size_t count;
    char **tables = ledger_places(o->p, partition, &count);

    for (size_t i = 0; i < count; i++)
        free(tables[i]);
    free(tables);
    return count > 0;
}

static int open_partition(struct owner *o, int32_t partition, struct error *err)
{
    struct place *place = &o->places[partition];
    int64_t started = clock_mono_ms();

    if (ledger_partition_open(&place->open, o->p, partition, err) < 0) {
        if (err->kind == ERR_FATAL)
            return -1;
        place->next_try_ms = clock_mono_ms() + backoff_next_ms(&place->backoff);
        log_warn("ledger partition can't be opened now",
                 "ledger_partition=%" PRId32 " reason=%s", partition, err->message);
        return 0;
    }
    log_info("ledger partition is ours", "ledger_partition=%" PRId32 " took_ms=%" PRId64,
             partition, clock_mono_ms() - started);
    if (partition == 0)
        o->plan = plan_start(o->p, place->open);
    ledger_partition_start_tables(place->open);
    return 0;
}

/* A fenced, broken or outdated handle is closed; it comes back by the same way as any
 * take-over, if still assigned. */
static void check_open(struct owner *o, int32_t partition)
{
    struct place *place = &o->places[partition];
    struct topic_writer *w = ledger_partition_writer(place->open);
    enum topic_writer_state state = topic_writer_state(w);

    if (topic_writer_has_committed(w)) /* opening it was of use */
        backoff_reset(&place->backoff);
    if (state == WRITER_OPEN && !topic_writer_is_outdated(w))
        return;
    if (state == WRITER_FENCED)
        refusals_clear(o->p->refusals[partition]);
    close_partition(o, partition);
    place->next_try_ms = clock_mono_ms() + 200 + backoff_next_ms(&place->backoff);
}

/* Opens at most one partition a call, so that the group is polled between. */
static int tend_partitions(struct owner *o, struct error *err)
{
    uint64_t version = ledger_cache_version(o->p->cache);
    bool opened = false;

    for (int32_t p = 0; p < o->count; p++) {
        struct place *place = &o->places[p];

        if (place->open)
            check_open(o, p);
        else if (place->assigned && !opened && clock_mono_ms() >= place->next_try_ms &&
                 (p == 0 || has_tables(o, p))) {
            opened = true;
            if (open_partition(o, p, err) < 0)
                return -1;
        }
        if (place->open && version != o->seen_version)
            ledger_partition_start_tables(place->open);
    }
    o->seen_version = version;
    return 0;
}

/* ---- sync_mode full ends by itself ---- */

struct census { /* of the tables that pass the filters */
    const struct config *config;
    size_t placed;
    size_t over;
    bool unfinished;
};

static bool is_counted(const struct census *census, struct bytes table)
{
    AUTO(free_charp) char *name = bytes_dup(table);

    return config_wants_table(census->config, name);
}

static void note_table(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    struct census *census = arg;
    struct ledger_table t = {0};
    struct error err;

    (void)partition;
    if (!is_counted(census, table) || ledger_table_decode(&t, value, &err) < 0)
        return;
    census->over++;
    if (t.phase == PHASE_SNAPSHOT || (t.phase == PHASE_TAIL && t.finished_ms == 0))
        census->unfinished = true;
    ledger_table_release(&t);
}

static void note_placed(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    struct census *census = arg;

    (void)value;
    (void)partition;
    census->placed += is_counted(census, table);
}

/* Our tables are over, and so is every table that is placed anywhere; who places them has seen
 * that none is left to place. */
static bool all_is_done(struct owner *o)
{
    struct census census = {.config = o->p->config};
    bool any = false;

    if (o->plan && !plan_is_settled(o->plan))
        return false;
    for (int32_t p = 0; p < o->count; p++) {
        if (o->places[p].open && !ledger_partition_is_over(o->places[p].open))
            return false;
        if (o->places[p].assigned && !o->places[p].open && has_tables(o, p))
            return false;
        any = any || o->places[p].open;
    }
    ledger_cache_each(o->p->cache, "place/", note_placed, &census);
    ledger_cache_each(o->p->cache, "table/", note_table, &census);
    return any && (census.placed > 0 || o->plan) && !census.unfinished &&
           census.over >= census.placed;
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

static int loop(struct owner *o, struct error *err)
{
    struct progress progress = {0};

    while (!stop_requested()) {
        if (poll_group(o, err) < 0 || tend_partitions(o, err) < 0)
            return -1;
        show_progress(&progress, o);
        if (o->p->mode == SYNC_FULL && all_is_done(o)) {
            log_info("the snapshot of every table is committed", NULL);
            return 0;
        }
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
    free(o->places);
}

int owner_run(struct producer *p, struct error *err)
{
    struct owner o = {.p = p, .count = ledger_cache_partitions(p->cache)};
    int result;

    o.places = xcalloc((size_t)o.count, sizeof(*o.places));
    for (int32_t i = 0; i < o.count; i++)
        backoff_init(&o.places[i].backoff, 100, 5000, NULL, NULL);
    result = join_group(&o, err);
    if (result == 0)
        result = loop(&o, err);
    leave(&o);
    return result;
}

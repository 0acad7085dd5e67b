#include "producer/owner.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/run/health.h"
#include "common/run/log.h"
#include "common/run/notify.h"
#include "common/run/progress.h"
#include "common/run/stop.h"
#include "producer/full_end.h"
#include "producer/ledger_partition.h"
#include "producer/owner_group.h"
#include "producer/owner_view.h"
#include "producer/plan.h"
#include "producer/poison.h"
#include "producer/source_identity.h"
#include "producer/table_worker.h"

#define FULL_LOOK_MS 500
#define PROVEN_MS 10000 /* a handle that has been open for this long works */
#define REOPEN_FLOOR_MS 200

struct slot { /* a ledger partition, ours or not */
    bool assigned;
    struct ledger_partition *open; /* NULL: it is not */
    int64_t opened_ms;             /* monotonic, as next_try_ms */
    int64_t next_try_ms;
    struct backoff backoff;
    struct health *health; /* while it is assigned and there is something to do in it */
};

struct owner {
    struct producer *p;
    struct owner_group group;
    int64_t health_limit_ms;
    struct slot *slots; /* one per ledger partition */
    int32_t count;
    struct plan *plan;

    struct owner_view view;
    struct halted *halted;
    struct health *unplaced; /* "placement", while nobody may ever place what we want */
    bool view_is_old;
    uint64_t seen_version; /* of the cache's places, for the view */

    struct progress *progress;
    int64_t full_looked_ms;
};

static void close_partition(struct owner *o, int32_t partition)
{
    struct slot *slot = &o->slots[partition];

    if (!slot->open)
        return;
    if (partition == 0 && o->plan)
        plan_stop(TAKE(o->plan));
    ledger_partition_close(TAKE(slot->open));
    log_info("ledger partition closed", "ledger_partition=%" PRId32, partition);
}

static bool is_alone(const struct owner *o)
{
    for (int32_t p = 0; p < o->count; p++)
        if (!o->slots[p].assigned)
            return false;
    return true;
}

static bool owns_any(const struct owner *o)
{
    for (int32_t p = 0; p < o->count; p++)
        if (o->slots[p].assigned)
            return true;
    return false;
}

/* By owner_group. */
static void on_assigned(void *arg, const rd_kafka_topic_partition_list_t *list)
{
    struct owner *o = arg;

    for (int32_t p = 0; p < o->count; p++) {
        bool assigned =
            list && rd_kafka_topic_partition_list_find((void *)list, o->p->ledger_topic, p);

        if (!assigned) {
            close_partition(o, p);
            poison_clear(o->p->poison[p]); /* another owner finds its own */
            health_remove(TAKE(o->slots[p].health));
        }
        o->slots[p].assigned = assigned;
    }
    o->view_is_old = true;
    if (o->plan)
        plan_set_alone(o->plan, is_alone(o));
}

/* ---- health ---- */

static bool has_work(const struct owner *o, int32_t partition)
{
    const struct view_partition *view = &o->view.partitions[partition];

    return partition == 0 || view->count > 0 || view->forgotten_count > 0;
}

/* Opening a handle and losing it, again and again, is no progress. */
static bool is_proven(const struct owner *o, const struct slot *slot)
{
    return slot->open &&
           (topic_writer_was_of_use(ledger_partition_handle(slot->open)->writer) ||
            clock_mono_ms() - slot->opened_ms >= MIN(PROVEN_MS, o->health_limit_ms / 2));
}

static void show_partition(struct owner *o, int32_t partition)
{
    struct slot *slot = &o->slots[partition];

    if (!slot->assigned || !has_work(o, partition)) {
        health_remove(TAKE(slot->health));
        return;
    }
    if (!slot->health) {
        AUTO(free_charp) char *name = xasprintf("ledger partition %" PRId32, partition);

        slot->health = health_new(name, o->health_limit_ms);
    }
    if (!is_proven(o, slot))
        return;
    backoff_reset(&slot->backoff);
    health_say(slot->health, "");
    health_alive(slot->health);
}

static void show_health(struct owner *o)
{
    if (o->group.is_member) {
        health_say(o->group.health, "");
        health_alive(o->group.health);
    }
    owner_view_tell_unplaced(&o->unplaced, &o->view, o->p->config, owns_any(o));
    for (int32_t p = 0; p < o->count; p++)
        show_partition(o, p);
}

/* While this thread waits for one partition to open, it can't say that the others are well. So
 * those that are get the time that it may take. */
static void set_limits(struct owner *o, int64_t limit_ms)
{
    if (o->group.is_member)
        health_set_limit(o->group.health, limit_ms);
    for (int32_t p = 0; p < o->count; p++)
        if (o->slots[p].health && is_proven(o, &o->slots[p]))
            health_set_limit(o->slots[p].health, limit_ms);
}

/* ---- opening ---- */

static int open_partition(struct owner *o, int32_t partition, struct error *err)
{
    struct slot *slot = &o->slots[partition];
    int64_t started = clock_mono_ms();
    int result;

    set_limits(o, o->health_limit_ms + LEDGER_HANDLE_OPEN_MS);
    result = ledger_partition_open(&slot->open, o->p, partition, err);
    show_health(o);
    set_limits(o, o->health_limit_ms);
    if (result < 0) {
        if (err->kind == ERR_FATAL)
            return -1;
        slot->next_try_ms = clock_mono_ms() + backoff_next_ms(&slot->backoff);
        if (slot->health)
            health_say(slot->health, err->message);
        log_warn("ledger partition can't be opened now",
                 "ledger_partition=%" PRId32 " reason=%s", partition, err->message);
        return 0;
    }
    slot->opened_ms = clock_mono_ms();
    log_info("ledger partition opened", "ledger_partition=%" PRId32 " took_ms=%" PRId64,
             partition, slot->opened_ms - started);
    o->view_is_old = true;
    return 0;
}

/* A fenced, broken or outdated handle is closed. If the partition is still assigned, it is
 * opened again like one that is taken over. */
static void check_open(struct owner *o, int32_t partition)
{
    struct slot *slot = &o->slots[partition];
    struct topic_writer *writer = ledger_partition_handle(slot->open)->writer;
    enum topic_writer_state state = topic_writer_state(writer);

    if (state == WRITER_OPEN && !topic_writer_is_outdated(writer))
        return;
    if (state == WRITER_FENCED)
        poison_clear(o->p->poison[partition]);
    if (topic_writer_was_of_use(writer)) /* it may be over before it was seen to be proven */
        backoff_reset(&slot->backoff);
    close_partition(o, partition);
    slot->next_try_ms = clock_mono_ms() + REOPEN_FLOOR_MS + backoff_next_ms(&slot->backoff);
    if (slot->health)
        health_say(slot->health, state == WRITER_FENCED ? "another instance took it over"
                                                        : "its handle was given up");
}

/* An open partition carries what the view says. */
static void start_work(struct owner *o, int32_t partition)
{
    const struct view_partition *view = &o->view.partitions[partition];
    struct ledger_partition *lp = o->slots[partition].open;

    ledger_partition_start(lp);
    if (partition == 0 && !o->plan)
        o->plan = plan_start(ledger_partition_handle(lp), is_alone(o));
    ledger_partition_start_tables(lp, view->tables, view->count);
    for (size_t i = 0; i < view->forgotten_count; i++)
        ledger_partition_forget(lp, view->forgotten[i]);
}

static bool read_view(struct owner *o)
{
    uint64_t version = ledger_cache_places_version(o->p->cache);
    bool *assigned = NULL;

    if (version == o->seen_version && !o->view_is_old)
        return false;
    if (o->group.is_member) {
        assigned = xcalloc((size_t)o->count, sizeof(*assigned));
        for (int32_t p = 0; p < o->count; p++)
            assigned[p] = o->slots[p].assigned;
    }
    owner_view_release(&o->view);
    owner_view_read(&o->view, o->p, assigned, o->halted);
    free(assigned);
    o->seen_version = version;
    o->view_is_old = false;
    return true;
}

/* Without other instances there is nobody to announce it to. */
static bool is_to_announce(const struct owner *o, int32_t partition)
{
    return o->view.partitions[partition].announce && !is_alone(o);
}

static bool is_to_open(const struct owner *o, int32_t partition)
{
    const struct slot *slot = &o->slots[partition];

    return slot->assigned && !slot->open && clock_mono_ms() >= slot->next_try_ms &&
           (has_work(o, partition) || is_to_announce(o, partition));
}

/* Opens at most one partition per call, so that the group is polled in between. Those with
 * work come first. */
static int open_next(struct owner *o, struct error *err)
{
    int32_t next = -1;

    for (int32_t p = 0; p < o->count; p++)
        if (is_to_open(o, p) && (next < 0 || (has_work(o, p) && !has_work(o, next))))
            next = p;
    return next < 0 ? 0 : open_partition(o, next, err);
}

/* It was opened only to announce what we carry, and that is done. */
static bool is_announced(const struct owner *o, int32_t partition)
{
    return !has_work(o, partition) && !is_to_announce(o, partition) &&
           ledger_partition_is_idle(o->slots[partition].open);
}

static int tend_partitions(struct owner *o, struct error *err)
{
    int ours = source_identity_check(o->p->identity, err);
    bool changed;

    if (ours < 0)
        return -1;
    changed = read_view(o);
    for (int32_t p = 0; p < o->count; p++) {
        if (o->slots[p].open)
            check_open(o, p);
        if (!o->slots[p].open)
            continue;
        if (changed && ours)
            start_work(o, p);
        ledger_partition_tend(o->slots[p].open);
        if (is_announced(o, p))
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
    struct slot *slot = &o->slots[partition];
    struct table_worker *worker;

    if (!slot->assigned)
        return FULL_ELSEWHERE;
    worker = slot->open ? ledger_partition_table(slot->open, table) : NULL;
    if (!worker)
        return FULL_UNDER_WAY;
    if (table_worker_is_over(worker))
        return FULL_OVER;
    return table_worker_stuck(worker, patience_ms(o), reason, size) ? FULL_STUCK
                                                                    : FULL_UNDER_WAY;
}

/* As full_end. The group notices a dead instance when its session is over; a living one has
 * begun its tables by the end of start.timeout, or counts them as stuck. */
static int full_is_over(struct owner *o, struct error *err)
{
    int64_t now_ms = clock_mono_ms();
    const struct full_asked asked = {
        .p = o->p,
        .halted = o->halted,
        .is_settled = o->plan && plan_is_settled(o->plan),
        .table = full_table_of,
        .is_stable = now_ms - o->group.assigned_ms > OWNER_GROUP_SESSION_MS + patience_ms(o),
        .arg = o,
    };

    if (!o->group.is_member || now_ms - o->full_looked_ms < FULL_LOOK_MS ||
        (o->plan && !asked.is_settled) || (o->slots[0].assigned && !o->plan))
        return 0;
    o->full_looked_ms = now_ms;
    return full_end(&asked, err);
}

/* ---- the loop ---- */

static void look_at_progress(struct owner *o)
{
    progress_begin_look(o->progress);
    for (int32_t p = 0; p < o->count; p++)
        if (o->slots[p].open)
            ledger_partition_note_progress(o->slots[p].open, o->progress);
    progress_end_look(o->progress);
}

/* Requests, and the age of positions, go by the service's clock. */
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
    while (!stop_requested()) {
        int over = 0;

        notify_turn();
        if (owner_group_poll(&o->group, err) < 0 || tend_partitions(o, err) < 0)
            return -1;
        if (progress_is_due(o->progress))
            look_at_progress(o);
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
    look_at_progress(o);
    progress_end(o->progress);
    progress_free(o->progress);
    for (int32_t p = 0; p < o->count; p++)
        close_partition(o, p);
    owner_group_leave(&o->group);
    for (int32_t p = 0; p < o->count; p++)
        health_remove(o->slots[p].health);
    health_remove(o->unplaced);
    owner_view_release(&o->view);
    halted_free(o->halted);
    free(o->slots);
}

int owner_run(struct producer *p, struct error *err)
{
    struct owner o = {.p = p,
                      .group = {.p = p, .assigned = on_assigned, .arg = &o},
                      .count = ledger_cache_partitions(p->cache),
                      .health_limit_ms = config_int(p->config, "health.limit.ms"),
                      .view_is_old = true};
    int result;

    o.slots = xcalloc((size_t)o.count, sizeof(*o.slots));
    for (int32_t i = 0; i < o.count; i++)
        backoff_init(&o.slots[i].backoff, 100, 5000, NULL, NULL);
    o.halted = halted_new();
    o.progress = progress_new(false);
    read_view(&o);
    result = owner_group_join(&o.group, err);
    if (result == 0)
        result = loop(&o, err);
    leave(&o);
    return result;
}

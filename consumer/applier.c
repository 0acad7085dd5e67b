#include "consumer/applier_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "consumer/position_store.h"
#include "consumer/preparer.h"

/* A held write waits for its grace; nothing legal takes longer than this without a step. */
#define HEALTH_LIMIT_MS 120000
#define LOOK_WAIT_MS 500     /* for the producer's records, or the preparer */
#define LOOK_FAILED_MS 10000 /* whether someone mended it */

void *applier_worker_open(void *arg)
{
    struct applier *a = arg;
    struct worker *w = xcalloc(1, sizeof(*w));

    w->a = a;
    w->mongo = mongo_new(a->target);
    mongo_writer_init(&w->writer, w->mongo, a->limits.bytes);
    return w;
}

void applier_worker_close(void *context)
{
    struct worker *w = context;

    mongo_writer_release(&w->writer);
    mongo_free(w->mongo);
    free(w);
}

/* ---- the table ---- */

int64_t stop_partition(struct partition *p, const char *reason)
{
    park(p);
    atomic_store(&p->failed, true);
    p->phase = PARTITION_FAILED;
    p->health = health_get(p->id, 0); /* at once: nobody but a person can help */
    table_partition_halted(p->table, p->number, reason);
    p->stopped = true;
    return clock_mono_ms() + LOOK_FAILED_MS;
}

int64_t step_table(struct worker *w, struct partition *p)
{
    int64_t soon = clock_mono_ms() + LOOK_WAIT_MS;

    if (!p->table)
        p->table = tables_of_topic(w->a->tables, p->topic);
    if (!p->table)
        return soon;
    if (p->table->filtered) {
        atomic_store(&p->left_out, true);
        park(p);
        return INT64_MAX;
    }
    if (!p->preparer) {
        p->preparer = w->a->preparer;
        preparer_use(p->preparer, p->table, true);
    }
    atomic_store(&p->failed, table_is_halted(p->table));
    table_view_put(p->view);
    p->view = table_view_get(p->table);
    if (!p->view)
        return soon;
    p->health = health_get(p->id, HEALTH_LIMIT_MS);
    p->phase = PARTITION_TAKE;
    return POOL_AT_ONCE;
}

/* ---- transitions ---- */

void park(struct partition *p)
{
    if (p->stopped)
        table_partition_goes_on(p->table, p->number);
    p->stopped = false;
    atomic_store(&p->failed, false);
    fetch_stream_close(&p->stream);
    partition_drop_batch(p);
    table_view_put(TAKE(p->view));
    p->phase = PARTITION_PARKED;
    health_remove(TAKE(p->health));
    if (p->preparer)
        preparer_use(TAKE(p->preparer), p->table, false);
    if (p->table && !p->table->filtered)
        metric_add(p->table->metrics.lag, -atomic_exchange(&p->lag, 0));
}

int64_t hold(struct worker *w, struct partition *p, enum mongo_result result,
             const struct error *err, const char *what)
{
    int64_t now = clock_mono_ms(), delay = backoff_next_ms(&p->backoff);

    fetch_stream_close(&p->stream);
    partition_drop_batch(p);
    p->phase = PARTITION_HELD;
    if (result == MONGO_UNKNOWN) {
        position_unknown(&p->position, now, w->a->target->grace_ms);
        delay = MAX(delay, p->position.quiet_until - now);
    }
    log_warn("partition held",
             "topic=%s partition=%" PRId32 " offset=%" PRId64 " for_ms=%" PRId64
             " outcome=%s at=%s reason=%s",
             p->topic, p->number, p->position.offset, delay,
             result == MONGO_UNKNOWN ? "unknown" : "failed", what, err->message);
    return now + delay;
}

void say_goodbye(struct worker *w, struct partition *p)
{
    struct error err;
    bool matched;

    if (!position_settled(&p->position))
        return;
    if (position_goodbye(w->mongo, p->id, &p->position, &matched, &err) != MONGO_DONE)
        log_warn("no goodbye: the next owner applies once more",
                 "topic=%s partition=%" PRId32 " reason=%s", p->topic, p->number, err.message);
    p->position.epoch = 0;
}

int64_t start_over(struct worker *w, struct partition *p, const char *why)
{
    log_info("partition starts over", "topic=%s partition=%" PRId32 " why=%s", p->topic,
             p->number, why);
    say_goodbye(w, p);
    park(p);
    p->phase = PARTITION_TABLE;
    return clock_mono_ms() + LOOK_WAIT_MS;
}

/* The group wants it back: finish, write the position, say goodbye. */
static void let_go(struct worker *w, struct partition *p)
{
    if (p->phase == PARTITION_RUN && partition_has_batch(p))
        run_flush(w, p);
    if (p->phase == PARTITION_MARKING) { /* goes on marking, but is nobody's any more */
        pool_parked(w->a->pool, p);
        return;
    }
    if (p->phase == PARTITION_RUN || p->phase == PARTITION_HELD || p->stopped)
        say_goodbye(w, p);
    park(p);
    atomic_store(&p->idle, false);
    pool_parked(w->a->pool, p);
}

static int64_t step_phase(struct worker *w, struct partition *p)
{
    switch (p->phase) {
    case PARTITION_TABLE:
        return step_table(w, p);
    case PARTITION_TAKE:
        return step_take(w, p);
    case PARTITION_RUN:
        return step_run(w, p);
    case PARTITION_HELD:
        return step_held(w, p);
    case PARTITION_MARKING:
        return step_marking(w, p);
    case PARTITION_FAILED:
        return step_failed(w, p);
    case PARTITION_PARKED:
        break;
    }
    return INT64_MAX;
}

int64_t applier_step(void *context, struct partition *p)
{
    struct worker *w = context;
    unsigned assignments = 0;

    switch (pool_request(w->a->pool, p, &assignments)) {
    case POOL_LET_GO:
        let_go(w, p);
        return p->phase == PARTITION_MARKING ? POOL_AT_ONCE : INT64_MAX;
    case POOL_STRAY:
        break;
    case POOL_OURS:
        if (assignments == p->seen_assignments || p->phase == PARTITION_MARKING)
            break;
        p->seen_assignments = assignments;
        if (p->phase == PARTITION_RUN || p->phase == PARTITION_HELD)
            say_goodbye(w, p); /* it was taken back before it could let go */
        park(p);
        p->phase = PARTITION_TABLE;
    }
    return step_phase(w, p);
}

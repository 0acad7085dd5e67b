#include "producer/table_requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/run/log.h"
#include "producer/signal_topic.h"
#include "producer/table_record.h"
#include "producer/table_repair.h"

#define WAIT_MS 200   /* for a table that begins, or is about to stop */
#define IDLE_MS 10000 /* a request that comes wakes the step */

/* ---- the handled offset ---- */

static int64_t handled_offset(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->appended.now.signal_offset;
}

bool table_requests_is_next(struct table_worker *w, const struct pending_signal *p)
{
    return signal_topic_from(w->requests.queue, handled_offset(w)) == p;
}

static void set_offset(struct table_worker *w, void *arg)
{
    w->appended.now.signal_offset = *(const int64_t *)arg;
}

int table_requests_pass(struct table_worker *w, struct pool_local *local,
                        const struct pending_signal *p, struct error *err)
{
    int64_t next = p->offset + 1;

    return table_record_append(w, local, set_offset, &next, err);
}

/* What an abort can't bring back any more. */
static void forget_handled(struct table_worker *w)
{
    int64_t committed;

    pthread_mutex_lock(&w->lock);
    committed = w->appended.committed.signal_offset;
    pthread_mutex_unlock(&w->lock);
    signal_topic_forget(w->requests.queue, committed);
}

/* A table that never had an offset: requests from its placing on are for it. */
static int64_t take_start(struct table_worker *w, struct pool_local *local)
{
    int64_t start = signal_topic_start_of(w->requests.queue);
    struct error err;

    if (start < 0)
        return WAIT_MS;
    if (table_record_change(w, local, &w->requests.step, set_offset, &start, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : WAIT_MS;
    return 0;
}

/* ---- handling ---- */

static void tell_refused(struct table_worker *w, const struct pending_signal *p,
                         const char *why)
{
    const struct table_signal *s = &p->signal;

    metric_add(w->metrics.signals_refused, 1);
    log_warn("signal is refused",
             "table=%s signal=%s type=%s sender=%s offset=%" PRId64 " reason=%s", w->table,
             s->id, table_signal_type_name(s->type), s->sender, p->offset, why);
}

static int64_t refuse(struct table_worker *w, struct pool_local *local,
                      const struct pending_signal *p, const char *why)
{
    struct error err;
    bool passed;

    if (topic_writer_gate_enter(w->writer, &w->member, &w->requests.step, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : TOPIC_WRITER_WAIT_MS;
    passed = table_requests_is_next(w, p) && table_requests_pass(w, local, p, &err) == 0;
    if (passed) /* told before it can be committed: who sees that it was handled finds why */
        tell_refused(w, p, why);
    topic_writer_gate_exit(w->writer);
    return passed ? 0 : WAIT_MS;
}

static int64_t repair_of_next(struct table_worker *w, struct pool_local *local,
                              const struct pending_signal *p)
{
    struct table_repair **r = &w->requests.repair;
    struct error err;
    int64_t delay;

    if (!*r && table_repair_new(r, w, p, &err) < 0)
        return refuse(w, local, p, err.message);
    delay = table_repair_go_on(*r, local, &err);
    return delay == TABLE_REPAIR_REFUSED ? refuse(w, local, p, err.message) : delay;
}

enum situation {
    SITUATION_WAIT,    /* it begins, or is about to stop */
    SITUATION_RUNS,    /* requests are handled */
    SITUATION_STOPPED, /* and refused */
};

/* why: of SITUATION_STOPPED. */
static enum situation situation_of(struct table_worker *w, char *why, size_t size)
{
    const struct ledger_table *t = &w->appended.now;
    bool begun, finished;

    AUTO_LOCK(&w->lock);
    begun = w->state == WORKER_RUNNING && !w->stop_reason;
    finished = w->p->mode == SYNC_FULL && t->phase == PHASE_TAIL;
    if (begun && !finished)
        return SITUATION_RUNS;
    if (!begun && w->state != WORKER_STOPPED)
        return SITUATION_WAIT;
    if (finished)
        snprintf(why, size, "its snapshot is finished, and sync_mode is full");
    else
        snprintf(why, size, "the table is in phase %s: %s", ledger_phase_name(t->phase),
                 t->reason);
    return SITUATION_STOPPED;
}

static int64_t handle_next(struct table_worker *w, struct pool_local *local)
{
    char why[sizeof(((struct error *)0)->message)];
    const struct pending_signal *p;
    enum situation situation;
    int64_t offset;

    forget_handled(w);
    situation = situation_of(w, why, sizeof(why));
    offset = handled_offset(w);
    p = offset < 0 ? NULL : signal_topic_from(w->requests.queue, offset);
    if (w->requests.repair &&
        (situation != SITUATION_RUNS || table_repair_of(w->requests.repair) != p))
        table_repair_free(TAKE(w->requests.repair));
    if (situation == SITUATION_WAIT)
        return WAIT_MS;
    if (offset < 0)
        return take_start(w, local);
    if (!p)
        return IDLE_MS;
    if (situation == SITUATION_STOPPED)
        return refuse(w, local, p, why);
    if (p->signal.type != TABLE_SIGNAL_REPAIR)
        return refuse(w, local, p, "not supported by this version");
    return repair_of_next(w, local, p);
}

/* ---- the step ---- */

static int64_t signals_step(void *arg, void *local)
{
    struct table_worker *w = arg;
    int64_t delay = atomic_load(&w->stopping) ? STEP_END : table_worker_pause_ms(w);

    if (delay == 0)
        delay = handle_next(w, local);
    if (delay == STEP_END)
        table_repair_free(TAKE(w->requests.repair));
    return delay;
}

static void signals_ended(void *arg)
{
    table_worker_unref(arg);
}

static void wake(void *arg)
{
    struct table_worker *w = arg;

    step_wake(w->p->pool, &w->requests.step);
}

void table_requests_start(struct table_worker *w)
{
    w->requests.step = (struct step){.run = signals_step, .ended = signals_ended, .arg = w};
    w->requests.queue = signal_topic_join(w->p->signals, w->table,
                                          w->appended.committed.signal_offset, wake, w);
    table_worker_schedule(w, &w->requests.step, 0);
}

void table_requests_release(struct table_worker *w)
{
    signal_topic_leave(w->requests.queue);
    table_repair_free(w->requests.repair);
}

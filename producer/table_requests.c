#include "producer/table_requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/run/log.h"
#include "producer/request_offset.h"
#include "producer/table_repair.h"

#define WAIT_MS 200   /* for a table that begins, or is about to halt */
#define IDLE_MS 10000 /* a request that comes wakes the step */

/* A table that never had an offset: requests from its placing on are for it. */
static int64_t take_start(struct append_context *a)
{
    struct table_worker *w = a->w;
    int64_t start = signal_topic_start_of(w->requests.subscription);
    struct error err;

    if (start < 0)
        return WAIT_MS;
    if (request_offset_begin(a, start, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : WAIT_MS;
    return 0;
}

/* ---- handling ---- */

static void tell_refused(struct table_worker *w, const struct pending_signal *pending,
                         const char *why)
{
    const struct table_signal *signal = &pending->signal;

    metric_add(w->metrics.signals_refused, 1);
    log_warn("signal is refused",
             "table=%s signal=%s type=%s sender=%s offset=%" PRId64 " reason=%s", w->table,
             signal->id, table_signal_type_name(signal->type), signal->sender, pending->offset,
             why);
}

static int64_t refuse(struct append_context *a, const struct pending_signal *pending,
                      const char *why)
{
    struct table_worker *w = a->w;
    struct error err;
    bool passed;

    if (topic_writer_gate_enter(w->writer, &w->member, &w->requests.step, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : TOPIC_WRITER_WAIT_MS;
    passed = request_offset_is_next(w, pending) && request_offset_pass(a, pending, &err) == 0;
    if (passed) /* told before it can be committed: who sees that it was handled finds why */
        tell_refused(w, pending, why);
    topic_writer_gate_exit(w->writer);
    return passed ? 0 : WAIT_MS;
}

static int64_t repair_of_next(struct append_context *a, const struct pending_signal *pending)
{
    struct table_worker *w = a->w;
    struct table_repair **repair = &w->requests.repair;
    struct error err;
    int64_t delay;

    if (!*repair && table_repair_new(repair, w, pending, &err) < 0)
        return refuse(a, pending, err.message);
    delay = table_repair_go_on(*repair, a, &err);
    return delay == TABLE_REPAIR_REFUSED ? refuse(a, pending, err.message) : delay;
}

enum situation {
    SITUATION_WAIT,   /* it begins, or is about to halt */
    SITUATION_RUNS,   /* requests are handled */
    SITUATION_HALTED, /* and refused */
};

/* why: of SITUATION_HALTED. */
static enum situation situation_of(struct table_worker *w, char *why, size_t size)
{
    const struct ledger_table *t = &w->appended.now;
    bool begun, finished;

    AUTO_LOCK(&w->lock);
    begun = w->state == WORKER_RUNNING && !w->halt_reason;
    finished = w->p->mode == SYNC_FULL && t->phase == PHASE_TAIL;
    if (begun && !finished)
        return SITUATION_RUNS;
    if (!begun && (w->state != WORKER_HALTED || table_worker_renews(w)))
        return SITUATION_WAIT;
    if (finished)
        snprintf(why, size, "its snapshot is finished, and sync_mode is full");
    else
        snprintf(why, size, "the table is in phase %s: %s", ledger_phase_name(t->phase),
                 t->reason);
    return SITUATION_HALTED;
}

static int64_t handle_next(struct append_context *a)
{
    struct table_worker *w = a->w;
    char why[sizeof(((struct error *)0)->message)];
    const struct pending_signal *pending;
    enum situation situation;
    int64_t offset;

    request_offset_forget_committed(w);
    situation = situation_of(w, why, sizeof(why));
    offset = request_offset_handled(w);
    pending = offset < 0 ? NULL : signal_topic_from(w->requests.subscription, offset);
    if (w->requests.repair &&
        (situation != SITUATION_RUNS || table_repair_of(w->requests.repair) != pending))
        table_repair_free(TAKE(w->requests.repair));
    if (situation == SITUATION_WAIT)
        return WAIT_MS;
    if (offset < 0)
        return take_start(a);
    if (!pending)
        return IDLE_MS;
    if (situation == SITUATION_HALTED)
        return refuse(a, pending, why);
    if (pending->signal.type != TABLE_SIGNAL_REPAIR)
        return refuse(a, pending, "not supported by this version");
    return repair_of_next(a, pending);
}

/* ---- the step ---- */

static int64_t requests_step(void *arg, void *context)
{
    struct table_worker *w = arg;
    int64_t delay = atomic_load(&w->stopping) ? STEP_END : table_worker_pause_ms(w);

    if (delay == 0)
        delay = handle_next(table_worker_context(w, context));
    else
        table_repair_pause(w->requests.repair);
    if (delay == STEP_END)
        table_repair_free(TAKE(w->requests.repair));
    return delay;
}

static void requests_ended(void *arg)
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
    w->requests.step = (struct step){.run = requests_step, .ended = requests_ended, .arg = w};
    w->requests.subscription = signal_topic_join(w->p->signals, w->table,
                                                 w->appended.committed.signal_offset, wake, w);
    table_worker_schedule(w, &w->requests.step, 0);
}

void table_requests_release(struct table_worker *w)
{
    signal_topic_leave(w->requests.subscription);
    table_repair_free(w->requests.repair);
}

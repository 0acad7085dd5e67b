#include "producer/table_requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/run/log.h"
#include "producer/request_decision.h"
#include "producer/request_offset.h"
#include "producer/segment_reader.h"
#include "producer/shard_reader.h"
#include "producer/table_record.h"
#include "producer/table_repair.h"
#include "producer/table_report.h"

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

/* ---- deciding ---- */

/* Under the worker's lock. */
static void decide(struct table_worker *w, const struct table_signal *signal,
                   struct request_decision *ret)
{
    const struct ledger_table *t = &w->appended.now;
    bool runs = w->state == WORKER_RUNNING && !w->halt_reason;
    const struct request_situation at = {
        .table = t,
        .runs = runs,
        .halted = w->state == WORKER_HALTED,
        .is_committed = !w->appended.dirty,
        .readers_ended = w->parts == 0,
        .renews = w->state == WORKER_HALTED && table_worker_renews(w),
        .over = w->p->mode == SYNC_FULL && t->phase == PHASE_TAIL,
    };

    request_decision_make(ret, signal, &at);
}

/* ---- changing the table's record ---- */

struct handling {
    const struct pending_signal *pending;
    const char *refused; /* by whoever tried; NULL: it is decided in the change */
    struct request_decision decision;
    bool handled;
};

static void set_phase(struct ledger_table *t, enum ledger_phase phase, const char *reason)
{
    t->phase = phase;
    free(t->reason);
    t->reason = xstrdup(reason);
}

/* What it was halted for before is over. */
static void leave_halted(struct table_worker *w)
{
    if (w->state == WORKER_RUNNING)
        table_worker_halt_appended(w);
    else
        table_worker_forget_halt(w);
}

/* A gap that it was to go on from stays to be gone on from. */
static void pause_table(struct table_worker *w, const char *reason)
{
    w->appended.now.renew = w->state == WORKER_HALTED;
    set_phase(&w->appended.now, PHASE_PAUSED, reason);
    leave_halted(w);
}

/* A resumed table keeps the reason of its gap. */
static void renew_table(struct table_worker *w, const struct table_signal *signal,
                        const char *reason)
{
    struct ledger_table *t = &w->appended.now;

    if (signal->type == TABLE_SIGNAL_SNAPSHOT) {
        set_phase(t, PHASE_GAP, reason);
        t->gaps = 0;
    }
    t->renew = true;
    leave_halted(w);
}

static void start_table(struct table_worker *w)
{
    struct ledger_table *t = &w->appended.now;

    if (t->phase == PHASE_PAUSED && t->renew) {
        set_phase(t, PHASE_GAP, "it was in a gap when it was paused");
        return;
    }
    if (t->phase == PHASE_PAUSED)
        table_state_end_halt(t);
    else
        t->retry = true;
    table_worker_start_appended(w);
}

static void carry_out(struct table_worker *w, const struct handling *handling)
{
    const struct table_signal *signal = &handling->pending->signal;
    AUTO(free_charp) char *reason = request_decision_reason(signal);

    switch (handling->decision.verdict) {
    case REQUEST_PAUSE:
        pause_table(w, reason);
        break;
    case REQUEST_RENEW:
        renew_table(w, signal, reason);
        break;
    case REQUEST_START:
        start_table(w);
        break;
    case REQUEST_FORGET:
        w->appended.now.forget = true;
        break;
    case REQUEST_REPORT:
        table_report_ask(w);
        break;
    default:
        break;
    }
}

/* Under lock. The table may have changed since it was decided to be here: decided anew. */
static bool handle(struct table_worker *w, void *arg)
{
    struct handling *handling = arg;
    struct request_decision *decision = &handling->decision;

    if (handling->refused) {
        decision->verdict = REQUEST_REFUSE;
        snprintf(decision->why, sizeof(decision->why), "%s", handling->refused);
    } else {
        decide(w, &handling->pending->signal, decision);
    }
    handling->handled =
        decision->verdict != REQUEST_WAIT && decision->verdict != REQUEST_REPAIR;
    if (!handling->handled)
        return false;
    carry_out(w, handling);
    request_offset_note(w, handling->pending,
                        decision->verdict == REQUEST_REFUSE ? decision->why : "");
    return true;
}

/* ---- handling ---- */

static void tell(struct table_worker *w, const struct handling *handling)
{
    const struct table_signal *signal = &handling->pending->signal;
    const char *type = table_signal_type_name(signal->type), *why = handling->decision.why;
    const char *reason = signal->reason ? signal->reason : "";

    if (handling->decision.verdict == REQUEST_REFUSE) {
        metric_add(w->metrics.signals_refused, 1);
        log_warn("signal is refused",
                 "table=%s signal=%s type=%s sender=%s offset=%" PRId64 " reason=%s", w->table,
                 signal->id, type, signal->sender, handling->pending->offset, why);
    } else {
        log_info("signal is handled",
                 "table=%s signal=%s type=%s sender=%s offset=%" PRId64 " change=%s reason=%s",
                 w->table, signal->id, type, signal->sender, handling->pending->offset,
                 *why ? "none" : type, *why ? why : reason);
    }
}

/* What was to be read at some later time is not. */
static void wake_parts(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    if (w->state != WORKER_HALT_APPENDED)
        return;
    step_wake(w->p->pool, &w->look.step);
    segment_reader_wake_all(w);
    shard_reader_wake_all(w);
}

/* Under the gate. Told before it can be committed: who sees that it was handled finds why. */
static bool append_handling(struct append_context *a, struct handling *handling,
                            struct error *err)
{
    struct table_worker *w = a->w;

    if (!request_offset_is_next(w, handling->pending) ||
        table_record_append(a, handle, handling, err) < 0 || !handling->handled)
        return false;
    tell(w, handling);
    if (handling->decision.verdict != REQUEST_REFUSE)
        topic_writer_commit_soon(w->writer);
    return true;
}

/* refused: by whoever tried to do it; NULL: it is done, if it may be. */
static int64_t handle_in_record(struct append_context *a, const struct pending_signal *pending,
                                const char *refused)
{
    struct table_worker *w = a->w;
    struct handling handling = {.pending = pending, .refused = refused};
    struct error err;
    bool handled;

    if (topic_writer_gate_enter(w->writer, &w->member, &w->requests.step, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : TOPIC_WRITER_WAIT_MS;
    handled = append_handling(a, &handling, &err);
    topic_writer_gate_exit(w->writer);
    wake_parts(w);
    return handled ? 0 : WAIT_MS;
}

static int64_t repair_of_next(struct append_context *a, const struct pending_signal *pending)
{
    struct table_worker *w = a->w;
    struct table_repair **repair = &w->requests.repair;
    struct error err;
    int64_t delay;

    if (!*repair && table_repair_new(repair, w, pending, &err) < 0)
        return handle_in_record(a, pending, err.message);
    if (!*repair)
        return WAIT_MS;
    delay = table_repair_go_on(*repair, a, &err);
    return delay == TABLE_REPAIR_REFUSED ? handle_in_record(a, pending, err.message) : delay;
}

static enum request_verdict verdict_on(struct table_worker *w,
                                       const struct pending_signal *pending)
{
    struct request_decision decision;

    AUTO_LOCK(&w->lock);
    decide(w, &pending->signal, &decision);
    return decision.verdict;
}

/* It neither begins nor halts. */
static bool takes_requests(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->state == WORKER_HALTED || (w->state == WORKER_RUNNING && !w->halt_reason);
}

static int64_t handle_next(struct append_context *a)
{
    struct table_worker *w = a->w;
    const struct pending_signal *pending;
    enum request_verdict verdict;
    int64_t offset;

    request_offset_forget_committed(w);
    offset = request_offset_handled(w);
    pending = offset < 0 ? NULL : signal_topic_from(w->requests.subscription, offset);
    verdict = pending ? verdict_on(w, pending) : REQUEST_WAIT;
    if (w->requests.repair &&
        (verdict != REQUEST_REPAIR || table_repair_of(w->requests.repair) != pending))
        table_repair_free(TAKE(w->requests.repair));
    if (offset < 0)
        return takes_requests(w) ? take_start(a) : WAIT_MS;
    if (!pending)
        return table_report_go_on(a, IDLE_MS);
    if (verdict == REQUEST_WAIT)
        return WAIT_MS;
    return verdict == REQUEST_REPAIR ? repair_of_next(a, pending)
                                     : handle_in_record(a, pending, NULL);
}

/* ---- the step ---- */

/* A table that is halted waits for the end of its repair before it starts again. */
static void pause_repair(struct table_worker *w)
{
    if (table_worker_runs(w))
        table_repair_pause(w->requests.repair);
    else
        table_repair_free(TAKE(w->requests.repair));
}

static int64_t requests_step(void *arg, void *context)
{
    struct table_worker *w = arg;
    int64_t delay = atomic_load(&w->stopping) ? STEP_END : table_worker_pause_ms(w);

    if (delay == 0)
        delay = handle_next(table_worker_context(w, context));
    else
        pause_repair(w);
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

void table_requests_init(struct table_worker *w)
{
    w->requests.step = (struct step){.run = requests_step, .ended = requests_ended, .arg = w};
}

void table_requests_start(struct table_worker *w)
{
    w->requests.subscription = signal_topic_join(w->p->signals, w->table,
                                                 w->appended.committed.signal_offset, wake, w);
    table_worker_schedule(w, &w->requests.step, 0);
}

void table_requests_release(struct table_worker *w)
{
    signal_topic_leave(w->requests.subscription);
    table_repair_free(w->requests.repair);
}

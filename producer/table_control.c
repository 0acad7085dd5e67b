#include "producer/table_control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "producer/gap_pace.h"
#include "producer/ledger_dues.h"
#include "producer/segment_reader.h"
#include "producer/shard_reader.h"
#include "producer/start_decision.h"
#include "producer/start_trouble.h"
#include "producer/table_health.h"
#include "producer/table_look.h"
#include "producer/table_record.h"
#include "producer/table_requests.h"
#include "producer/table_start.h"
#include "producer/table_trim.h"

#define CONTROL_MS 500
#define PARTS_MS 50 /* for what still ends of an earlier life */
#define UNREADABLE_MS 5000
#define SCAN_PAUSE_MS 500
#define SCAN_PAUSE_LONGEST_MS 60000
#define FAILED_AGAIN 4 /* doubts long: how often a table that failed is looked at */

/* ---- running ---- */

/* Under lock. A slot whose pages all fail goes back for a while, a longer one each time: other
 * tables wait for it. */
static void tend_scan_slot(struct table_worker *w)
{
    int64_t now = clock_mono_ms();
    bool wants =
        w->appended.now.phase == PHASE_SNAPSHOT && !table_state_all_scanned(&w->appended);

    if (w->scan_slot && wants && segment_reader_all_fail(w)) {
        int64_t pause = (int64_t)SCAN_PAUSE_MS << MIN(w->scan_pauses, 10);

        w->scan_again_ms = now + MIN(pause, SCAN_PAUSE_LONGEST_MS);
        w->scan_pauses++;
    }
    if (w->scan_slot && (!wants || w->scan_again_ms > now)) {
        w->scan_slot = false;
        throttle_scan_end(w->p->throttle);
    } else if (!w->scan_slot && wants && !w->held && w->scan_again_ms <= now) {
        w->scan_slot = throttle_scan_begin(w->p->throttle);
        segment_reader_try_anew(w);
    }
}

/* Everything that should run and does not is started; also after an abort went back. */
static void start_what_should_run(struct table_worker *w)
{
    const struct shard_tree *tree = &w->appended.tree;

    AUTO_LOCK(&w->lock);
    tend_scan_slot(w);
    if (w->scan_slot && w->appended.now.phase == PHASE_SNAPSHOT)
        segment_reader_start_all(w);
    for (struct tree_shard *shard = tree->live; shard; shard = shard->next)
        if (shard_is_ready(tree, shard))
            shard_reader_start(w, shard);
    table_look_start(w);
}

static void show_phase(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    metric_set(w->metrics.phase, w->appended.now.phase);
}

/* What takes nothing may be gone: only the brokers' metadata say so. */
static void look_at_topic(struct table_worker *w)
{
    int64_t now = clock_mono_ms(), doubt_ms = config_int(w->p->config, "source.doubt.ms");
    struct error err;
    int32_t partitions;
    bool due, gone;

    pthread_mutex_lock(&w->lock);
    due = w->held && w->topic_at_ms <= now;
    pthread_mutex_unlock(&w->lock);
    if (!due || kafka_topic_partition_count(&partitions, w->p->admin, w->topic, &err) < 0)
        return;
    pthread_mutex_lock(&w->lock);
    gone = partitions == 0 && doubt_said(&w->topic_doubt, START_NO_LOG, now, doubt_ms);
    if (partitions > 0)
        doubt_clear(&w->topic_doubt);
    w->topic_at_ms = now + MAX(doubt_again_ms(&w->topic_doubt, doubt_ms), CONTROL_MS);
    pthread_mutex_unlock(&w->lock);
    if (!gone)
        return;
    topic_writer_gate_try_now(w->writer, &w->member); /* what follows is for another topic */
    table_worker_halt(w, PHASE_GAP, START_NO_LOG);
}

static int64_t run(struct append_context *a)
{
    struct table_worker *w = a->w;

    start_what_should_run(w);
    show_phase(w);
    if (table_worker_is_over(w))
        return CONTROL_MS;
    look_at_topic(w);
    if (table_worker_pause_ms(w) > 0)
        return CONTROL_MS;
    return ledger_dues_append(a) ? 0 : CONTROL_MS;
}

/* ---- halting, and coming back ---- */

/* What is told of a halt: once it is written, a request may end it at any time. */
struct halt_told {
    enum ledger_phase phase;
    bool renews;
    int64_t gaps;
    char *reason;
};

/* Under lock. */
static void note_halt(const struct table_worker *w, struct halt_told *ret)
{
    const struct ledger_table *t = &w->appended.now;

    free(ret->reason);
    *ret = (struct halt_told){.phase = t->phase,
                              .renews = table_worker_renews(w),
                              .gaps = t->gaps,
                              .reason = xstrdup(t->reason)};
}

static bool set_halted(struct table_worker *w, void *arg)
{
    struct ledger_table *t = &w->appended.now;

    t->phase = w->halt_phase;
    t->retry = false;
    if (t->phase == PHASE_GAP) {
        t->lost_log =
            t->lost_log || strncmp(w->halt_reason, START_LOST_LOG, strlen(START_LOST_LOG)) == 0;
        t->renew = w->p->renews_gaps;
        t->gaps = gap_pace_count(t, ddb_source_now_ms(w->p->source));
    }
    free(t->reason);
    t->reason = xstrdup(w->halt_reason);
    table_worker_set_state(w, WORKER_HALTED);
    table_worker_end_scan(w);
    step_wake(w->p->pool, &w->requests.step); /* its repair ends */
    note_halt(w, arg);
    return true;
}

static void log_gap(const struct table_worker *w, const struct halt_told *halt)
{
    if (halt->gaps > 1)
        log_error("table has another gap",
                  "table=%s gaps=%" PRId64 " pause_ms=%" PRId64 " reason=%s", w->table,
                  halt->gaps, gap_pace_pause_ms(halt->gaps), halt->reason);
    else
        log_warn("table has a gap: a new generation begins", "table=%s reason=%s", w->table,
                 halt->reason);
}

/* A gap that nothing goes on from by itself, with what does. */
static void log_halted_in_gap(const struct table_worker *w, const struct halt_told *halt)
{
    AUTO(free_charp) char *next = xasprintf("dynaferry-producer --resume %s", w->table);

    if (w->p->mode == SYNC_INCR)
        log_error("table halted", "table=%s phase=gap reason=%s on_gap=fail next=%s lost=%s",
                  w->table, halt->reason, next,
                  "sync_mode=incr reads no rows: the changes in the gap are lost");
    else
        log_error("table halted", "table=%s phase=gap reason=%s on_gap=fail next=%s", w->table,
                  halt->reason, next);
}

static void log_halted(const struct table_worker *w, const struct halt_told *halt)
{
    if (halt->phase != PHASE_GAP)
        log_error("table halted", "table=%s phase=%s reason=%s", w->table,
                  ledger_phase_name(halt->phase), halt->reason);
    else if (halt->renews)
        log_gap(w, halt);
    else
        log_halted_in_gap(w, halt);
}

static int64_t halt_table(struct append_context *a)
{
    struct table_worker *w = a->w;
    struct halt_told halt = {0};
    struct error err;
    int result = table_record_change(a, &w->control, set_halted, &halt, &err);

    if (result == 0) {
        metric_set(w->metrics.phase, halt.phase);
        metric_add(w->metrics.gaps, halt.phase == PHASE_GAP);
        log_halted(w, &halt);
    }
    free(halt.reason);
    return result < 0 && err.kind == ERR_FENCED ? STEP_END : CONTROL_MS;
}

/* Under lock: a table that is gone may come back, what it failed for may be mended, and from a
 * gap it goes on. */
static bool is_time_to_start(const struct table_worker *w)
{
    const struct ledger_table *t = &w->appended.now;
    int64_t halted_ms = clock_mono_ms() - w->state_ms;
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");

    switch (t->phase) {
    case PHASE_GAP:
        return table_worker_renews(w) && gap_pace_wait_ms(t, clock_wall_ms()) == 0;
    case PHASE_GONE:
        return halted_ms >= doubt_ms;
    case PHASE_FAILED:
        return !w->halt_is_final && halted_ms >= FAILED_AGAIN * doubt_ms;
    default:
        return false;
    }
}

static int64_t look_again(struct table_worker *w)
{
    const struct table_state *state = &w->appended;
    bool committed;

    AUTO_LOCK(&w->lock);
    metric_set(w->metrics.phase, state->now.phase);
    committed = !state->dirty && state->committed.phase == state->now.phase;
    if (w->parts > 0 || !committed || !is_time_to_start(w))
        return CONTROL_MS;
    table_worker_forget_halt(w);
    table_worker_set_state(w, WORKER_STARTING);
    return 0;
}

static int64_t start(struct append_context *a)
{
    struct table_worker *w = a->w;
    struct error err;
    bool ended;
    int64_t pause = table_worker_pause_ms(w);

    pthread_mutex_lock(&w->lock);
    ended = w->parts == 0;
    pthread_mutex_unlock(&w->lock);
    if (!ended)
        return PARTS_MS;
    if (pause > 0)
        return pause;
    return table_record_sync(w, &err) == 0
               ? table_start(a)
               : start_trouble_retry(w, "the ledger can't be read to its end", &err);
}

static int64_t load_again(struct table_worker *w)
{
    table_record_load(w);
    if (w->state == WORKER_UNREADABLE) /* only this step leaves it */
        return UNREADABLE_MS;
    table_requests_start(w);
    return 0;
}

/* ---- the step ---- */

static enum worker_state state_of(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    if (w->halt_reason && w->state != WORKER_HALTED && w->state != WORKER_HALT_APPENDED)
        table_worker_set_state(w, WORKER_HALTING);
    else if (w->state == WORKER_ADOPTING && w->adoption_committed)
        table_worker_set_state(w, WORKER_RUNNING);
    return w->state;
}

static int64_t step_of(struct append_context *a)
{
    struct table_worker *w = a->w;

    switch (state_of(w)) {
    case WORKER_STARTING:
        return start(a);
    case WORKER_RUNNING:
        return run(a);
    case WORKER_HALTING:
        return halt_table(a);
    case WORKER_HALTED:
        return look_again(w);
    case WORKER_UNREADABLE:
        return load_again(w);
    default:
        return CONTROL_MS;
    }
}

static int64_t control_step(void *arg, void *context)
{
    struct table_worker *w = arg;
    int64_t delay;

    if (atomic_load(&w->stopping))
        return STEP_END;
    delay = step_of(table_worker_context(w, context));
    table_health_show(w);
    table_trim_show(w);
    return delay;
}

static void control_ended(void *arg)
{
    table_worker_unref(arg);
}

void table_control_init(struct table_worker *w)
{
    w->control = (struct step){.run = control_step, .ended = control_ended, .arg = w};
}

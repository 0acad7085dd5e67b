#include "producer/table_control.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"
#include "producer/append.h"
#include "producer/segment_reader.h"
#include "producer/shard_reader.h"
#include "producer/table_health.h"
#include "producer/table_look.h"
#include "producer/table_record.h"
#include "producer/table_start.h"

#define CONTROL_MS 500
#define PARTS_MS 50           /* for what still ends of an earlier life */
#define RECORDS_AT_ONCE 100   /* first records of shards, in one hold of the gate */
#define FORGET_EVERY_MS 10000 /* tombstones */
#define FORGET_AT_ONCE 100
#define UNREADABLE_MS 5000
#define SCAN_PAUSE_MS 500
#define SCAN_PAUSE_LONGEST_MS 60000
#define LOOK_AGAIN 4 /* doubts long: how often a table that is gone or failed is looked at */

/* ---- what the ledger does not have yet ---- */

/* Parents first, each part of a transaction whole. */
static int append_unrecorded(struct table_worker *w, struct pool_local *local,
                             struct error *err)
{
    struct shard_tree *t = &w->appended.tree;

    AUTO_LOCK(&w->record_lock); /* no reader's own record comes between */
    for (int i = 0; i < RECORDS_AT_ONCE; i++) {
        AUTO(ledger_shard_release) struct ledger_shard copy = {0};
        struct tree_shard *s;

        pthread_mutex_lock(&w->lock);
        s = shard_tree_unrecorded(t);
        if (s) {
            ledger_shard_copy(&copy, &s->now);
            shard_recorded(t, s);
        }
        pthread_mutex_unlock(&w->lock);
        if (!s)
            return 0;
        if (append_ledger_shard(w, local, &copy, err) < 0)
            return -1;
    }
    return 0;
}

/* Shards stay where they are meanwhile: only a commit removes them. */
static int append_shard_tombstones(struct table_worker *w, struct pool_local *local,
                                   int64_t now, struct error *err)
{
    struct shard_tree *t = &w->appended.tree;
    struct tree_shard *shard = NULL;

    for (int i = 0; i < FORGET_AT_ONCE; i++) {
        AUTO(free_charp) char *id = NULL;

        pthread_mutex_lock(&w->lock);
        shard = shard_tree_forgettable(t, shard, now);
        if (shard) {
            id = xstrdup(shard->now.id);
            shard_forgotten(t, shard);
        }
        pthread_mutex_unlock(&w->lock);
        if (!id)
            return 0;
        if (append_ledger_shard_tombstone(w, local, id, err) < 0)
            return -1;
    }
    return 0;
}

static int append_tombstones(struct table_worker *w, struct pool_local *local,
                             struct error *err)
{
    struct table_state *s = &w->appended;
    int64_t now = ddb_source_now_ms(w->p->source);
    bool segments;

    pthread_mutex_lock(&w->lock);
    segments = table_state_segments_forgettable(s, now);
    s->segments_forgotten = s->segments_forgotten || segments;
    pthread_mutex_unlock(&w->lock);
    for (int64_t i = 0; segments && i < s->segment_count; i++)
        if (append_ledger_segment_tombstone(w, local, i, err) < 0)
            return -1;
    return append_shard_tombstones(w, local, now, err);
}

/* In a hold of the gate of its own. False: not now. */
static bool append_alone(struct table_worker *w, struct pool_local *local,
                         int (*append)(struct table_worker *, struct pool_local *,
                                       struct error *))
{
    struct error err;
    bool done;

    if (topic_writer_gate_enter(w->writer, &w->member, &w->control, &err) < 0)
        return false;
    done = append(w, local, &err) == 0;
    if (!done)
        topic_writer_request_abort(w->writer, err.message);
    topic_writer_gate_exit(w->writer);
    return done;
}

static void set_record(struct table_worker *w, void *arg)
{
    struct ledger_table *t = &w->appended.now;
    size_t n = sizeof(*w->begin_offsets) * (size_t)w->partitions;

    (void)arg;
    if (!t->begin_offsets && w->begin_delivered)
        t->begin_offsets = memcpy(xmalloc(n), w->begin_offsets, n);
}

static bool record_is_due(struct table_worker *w)
{
    const struct table_state *s = &w->appended;

    AUTO_LOCK(&w->lock);
    return s->record_due || (!s->now.begin_offsets && w->begin_delivered && w->begin_offsets);
}

static bool shards_are_due(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->appended.tree.unrecorded > 0;
}

static bool tombstones_are_due(struct table_worker *w)
{
    int64_t now = clock_mono_ms(), service = ddb_source_now_ms(w->p->source);

    AUTO_LOCK(&w->lock);
    if (now - w->forget_ms < FORGET_EVERY_MS && w->forget_ms > 0)
        return false;
    w->forget_ms = now;
    return table_state_segments_forgettable(&w->appended, service) ||
           shard_tree_forgettable(&w->appended.tree, NULL, service);
}

/* ---- the end of the snapshot ---- */

static void set_finished(struct table_worker *w, void *arg)
{
    w->appended.now.phase = PHASE_TAIL;
    w->appended.now.finished_ms = *(const int64_t *)arg;
}

/* Behind all pages: under the gate, and only while none was taken back. */
static int append_end(struct table_worker *w, struct pool_local *local, struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    int64_t now = ddb_source_now_ms(w->p->source);
    bool due;

    pthread_mutex_lock(&w->lock);
    due = w->scan_confirmed && w->appended.now.phase == PHASE_SNAPSHOT &&
          table_state_all_scanned(&w->appended) && !w->stop_reason;
    ledger_table_copy(&t, &w->appended.now);
    pthread_mutex_unlock(&w->lock);
    if (!due)
        return 0;
    if (append_control(w, local, CONTROL_SNAPSHOT_END, &t, NULL, err) < 0)
        return -1;
    return table_record_append(w, local, set_finished, &now, err);
}

static bool end_is_due(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->scan_confirmed && w->appended.now.phase == PHASE_SNAPSHOT &&
           table_state_all_scanned(&w->appended);
}

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
    const struct shard_tree *t = &w->appended.tree;

    AUTO_LOCK(&w->lock);
    tend_scan_slot(w);
    if (w->scan_slot && w->appended.now.phase == PHASE_SNAPSHOT)
        for (int64_t i = 0; i < w->segment_count; i++)
            segment_reader_start(w, &w->segments[i]);
    for (struct tree_shard *s = t->live; s; s = s->next)
        if (shard_is_ready(t, s))
            shard_reader_start(w, s);
    table_look_start(w);
}

static void show_metrics(struct table_worker *w)
{
    int64_t complete_to;

    AUTO_LOCK(&w->lock);
    complete_to = shard_tree_complete_to(&w->appended.tree);
    metric_set(w->metrics.phase, w->appended.now.phase);
    if (complete_to != INT64_MAX)
        metric_set(w->metrics.trim_seconds,
                   (complete_to + 24 * 3600000LL - ddb_source_now_ms(w->p->source)) / 1000);
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
    gone =
        partitions == 0 && doubt_said(&w->topic_doubt, "the data topic is gone", now, doubt_ms);
    if (partitions > 0)
        doubt_clear(&w->topic_doubt);
    w->topic_at_ms = now + MAX(doubt_again_ms(&w->topic_doubt, doubt_ms), CONTROL_MS);
    pthread_mutex_unlock(&w->lock);
    if (gone)
        table_worker_fail(w, PHASE_GAP, "the data topic is gone");
}

static int64_t run(struct table_worker *w, struct pool_local *local)
{
    struct error err;

    start_what_should_run(w);
    show_metrics(w);
    if (table_worker_is_over(w))
        return CONTROL_MS;
    look_at_topic(w);
    if (table_worker_pause_ms(w) > 0)
        return CONTROL_MS;
    if (record_is_due(w) &&
        table_record_change(w, local, &w->control, set_record, NULL, &err) < 0)
        return CONTROL_MS;
    if (end_is_due(w) && append_alone(w, local, append_end))
        topic_writer_commit_soon(w->writer);
    if (shards_are_due(w))
        return append_alone(w, local, append_unrecorded) ? 0 : CONTROL_MS;
    if (tombstones_are_due(w))
        append_alone(w, local, append_tombstones);
    return CONTROL_MS;
}

/* ---- stopping, and coming back ---- */

static void set_stopped(struct table_worker *w, void *arg)
{
    struct ledger_table *t = &w->appended.now;

    (void)arg;
    t->phase = w->stop_phase;
    free(t->reason);
    t->reason = xstrdup(w->stop_reason);
    table_worker_set_state(w, WORKER_STOPPED);
    if (w->scan_slot) /* other tables wait for it */
        throttle_scan_end(w->p->throttle);
    w->scan_slot = false;
}

/* Of a gap with the setting that says what becomes of its table. */
static void log_stopped(const struct table_worker *w)
{
    const char *phase = ledger_phase_name(w->stop_phase);

    if (w->stop_phase == PHASE_GAP)
        log_error("table stands still", "table=%s phase=%s reason=%s on_gap=%s", w->table,
                  phase, w->stop_reason, config_string(w->p->config, "on_gap"));
    else
        log_error("table stands still", "table=%s phase=%s reason=%s", w->table, phase,
                  w->stop_reason);
}

static int64_t stop_table(struct table_worker *w, struct pool_local *local)
{
    struct error err;

    if (table_record_change(w, local, &w->control, set_stopped, NULL, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : CONTROL_MS;
    metric_set(w->metrics.phase, w->stop_phase);
    log_stopped(w);
    return CONTROL_MS;
}

/* A table that is gone may come back, and what it failed for may be mended. */
static int64_t look_again(struct table_worker *w)
{
    int64_t every = LOOK_AGAIN * config_int(w->p->config, "source.doubt.ms");
    const struct table_state *s = &w->appended;
    bool committed;

    AUTO_LOCK(&w->lock);
    metric_set(w->metrics.phase, s->now.phase);
    committed = !s->dirty && s->committed.phase == s->now.phase;
    if (w->stop_sticks || w->parts > 0 || !committed || clock_mono_ms() - w->state_ms < every ||
        (s->now.phase != PHASE_GONE && s->now.phase != PHASE_FAILED))
        return CONTROL_MS;
    free(TAKE(w->stop_reason));
    table_worker_set_state(w, WORKER_STARTING);
    return 0;
}

static int64_t start(struct table_worker *w, struct pool_local *local)
{
    bool ended;
    int64_t pause = table_worker_pause_ms(w);

    pthread_mutex_lock(&w->lock);
    ended = w->parts == 0;
    pthread_mutex_unlock(&w->lock);
    if (!ended)
        return PARTS_MS;
    return pause > 0 ? pause : table_start(w, local);
}

static int64_t load_again(struct table_worker *w)
{
    table_worker_load(w);
    return UNREADABLE_MS;
}

/* ---- the step ---- */

static enum worker_state state_of(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    if (w->stop_reason && w->state != WORKER_STOPPED)
        table_worker_set_state(w, WORKER_STOPPING);
    else if (w->state == WORKER_ADOPTING && w->adoption_committed)
        table_worker_set_state(w, WORKER_RUNNING);
    return w->state;
}

static int64_t step_of(struct table_worker *w, struct pool_local *local)
{
    switch (state_of(w)) {
    case WORKER_STARTING:
        return start(w, local);
    case WORKER_RUNNING:
        return run(w, local);
    case WORKER_STOPPING:
        return stop_table(w, local);
    case WORKER_STOPPED:
        return look_again(w);
    case WORKER_UNREADABLE:
        return load_again(w);
    default:
        return CONTROL_MS;
    }
}

int64_t table_control_step(void *arg, void *local)
{
    struct table_worker *w = arg;
    int64_t delay;

    if (atomic_load(&w->stopping))
        return STEP_END;
    delay = step_of(w, local);
    table_health_show(w);
    return delay;
}

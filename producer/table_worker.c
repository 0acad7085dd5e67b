#include "producer/table_worker.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/mutation.h"
#include "producer/ledger_partition.h"
#include "producer/shard_reader.h"
#include "producer/table_control.h"
#include "producer/table_signals.h"

#define ABORT_PAUSE_MS 50
#define ABORT_PAUSE_LONGEST_MS 10000

/* ---- life ---- */

void table_worker_release_segments(struct table_worker *w)
{
    for (int64_t i = 0; i < w->segment_count; i++) {
        ledger_segment_release(&w->segments[i].now);
        ledger_segment_release(&w->segments[i].committed);
    }
    free(TAKE(w->segments));
    w->segment_count = 0;
}

static void worker_free(struct table_worker *w)
{
    struct ledger_partition *home = w->home;

    topic_writer_leave(w->writer, &w->member);
    table_signals_release(w);
    if (w->topic_handle)
        rd_kafka_topic_destroy(w->topic_handle);
    if (w->scan_slot)
        limits_scan_end(w->p->limits);
    health_remove(w->standstill);
    table_worker_release_segments(w);
    shard_tree_release(&w->tree, shard_reader_free);
    ledger_table_release(&w->now);
    ledger_table_release(&w->committed);
    key_schema_release(&w->schema);
    barrier_free(w->barrier);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->record_lock);
    free(w->begin_offsets);
    free(w->stop_reason);
    free(w->topic);
    free(w->table);
    free(w);
    ledger_partition_unref(home);
}

void table_worker_ref(struct table_worker *w)
{
    atomic_fetch_add(&w->refs, 1);
}

void table_worker_unref(struct table_worker *w)
{
    if (atomic_fetch_sub(&w->refs, 1) == 1)
        worker_free(w);
}

void table_worker_schedule(struct table_worker *w, struct step *s, int64_t delay_ms)
{
    table_worker_ref(w);
    if (!step_schedule(w->p->pool, s, delay_ms))
        table_worker_unref(w);
}

bool table_worker_runs(struct table_worker *w)
{
    if (atomic_load(&w->stopping))
        return false;
    AUTO_LOCK(&w->lock);
    return w->state == WORKER_RUN && !w->stop_reason;
}

int64_t table_worker_pause_ms(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->aborts < 2 ? 0 : MAX(w->resume_ms - clock_mono_ms(), 0);
}

void table_worker_fail(struct table_worker *w, enum ledger_phase phase, const char *reason)
{
    AUTO_LOCK(&w->lock);
    if (w->stop_reason)
        return;
    w->stop_reason = xstrdup(reason);
    w->stop_phase = phase;
    step_wake(w->p->pool, &w->control);
}

/* ---- told by the writer, under its exclusive gate ---- */

static void copy_segment(struct ledger_segment *to, const struct ledger_segment *from)
{
    free(to->last_key);
    *to = *from;
    to->last_key = from->last_key ? xstrdup(from->last_key) : NULL;
}

static void on_committed(void *arg)
{
    struct table_worker *w = arg;
    bool ours;

    refusals_committed(w->refusals, bytes_of(w->topic));
    AUTO_LOCK(&w->lock);
    ours = w->dirty;
    if (w->dirty) {
        ledger_table_release(&w->committed);
        ledger_table_copy(&w->committed, &w->now);
        w->dirty = false;
        w->adoption_committed = w->state != WORKER_START;
        step_wake(w->p->pool, &w->control);
        step_wake(w->p->pool, &w->signals.step); /* handled requests make room */
    }
    for (int64_t i = 0; i < w->segment_count; i++) {
        ours = ours || w->segments[i].dirty;
        if (w->segments[i].dirty)
            copy_segment(&w->segments[i].committed, &w->segments[i].now);
        w->segments[i].dirty = false;
    }
    if (shard_tree_committed(&w->tree) || ours)
        w->aborts = 0;
}

/* Under lock. One abort is gone on from at once; what is aborted again and again (a topic that
 * takes nothing) must not read the source at full speed for nothing. */
static int64_t pause_after_abort(struct table_worker *w)
{
    int64_t pause = 0;

    if (++w->aborts > 1)
        pause = MIN((int64_t)ABORT_PAUSE_MS << MIN(w->aborts, 8), ABORT_PAUSE_LONGEST_MS);
    w->resume_ms = clock_mono_ms() + pause;
    return pause;
}

static void table_back(struct table_worker *w)
{
    bool stop_is_gone =
        w->state == WORKER_STOPPED &&
        (w->now.phase != w->committed.phase || strcmp(w->now.reason, w->committed.reason) != 0);

    if (!w->dirty)
        return;
    ledger_table_release(&w->now);
    ledger_table_copy(&w->now, &w->committed);
    w->dirty = false;
    w->begin_offsets_recorded = w->begin_offsets == NULL; /* once more does no harm */
    if (w->state == WORKER_ADOPTED && !w->adoption_committed)
        w->state = WORKER_START;
    else if (stop_is_gone)
        w->state = WORKER_RUN; /* its stop is written again */
}

static void segments_back(struct table_worker *w)
{
    w->segments_done = 0;
    for (int64_t i = 0; i < w->segment_count; i++) {
        if (w->segments[i].dirty)
            copy_segment(&w->segments[i].now, &w->segments[i].committed);
        w->segments[i].dirty = false;
        w->segments_done += w->segments[i].now.done;
    }
}

static void on_aborted(void *arg)
{
    struct table_worker *w = arg;
    int64_t pause;

    refusals_aborted(w->refusals, bytes_of(w->topic));
    pthread_mutex_lock(&w->lock);
    pause = pause_after_abort(w);
    if (!MUTATED(epoch)) {
        table_back(w);
        segments_back(w);
        shard_tree_aborted(&w->tree);
    }
    /* Behind the positions: who takes a ticket and then reads a position has a stale ticket, or
     * a position that is back. */
    barrier_abort(w->barrier);
    pthread_mutex_unlock(&w->lock);
    if (!atomic_load(&w->stopping))
        table_worker_schedule(w, &w->control, pause);
    if (pause == 0)
        step_wake(w->p->pool, &w->control);
    step_wake(w->p->pool, &w->signals.step); /* a handled request is the next one again */
}

static void on_topic_failed(void *arg, const char *topic, const char *reason)
{
    struct table_worker *w = arg;
    AUTO(free_charp) char *text = NULL;

    if (strcmp(topic, w->topic) != 0)
        return;
    text = xasprintf("topic %s: %s", topic, reason);
    table_worker_fail(w, PHASE_FAILED, text);
}

/* ---- making one ---- */

static void control_ended(void *arg)
{
    table_worker_unref(arg);
}

void table_worker_add_progress(struct table_worker *w, int64_t *rows, int64_t *left)
{
    int64_t appended = 0;

    AUTO_LOCK(&w->lock);
    for (int64_t i = 0; i < w->segment_count; i++)
        appended += w->segments[i].now.rows;
    *rows += appended;
    if (w->now.phase == PHASE_SNAPSHOT)
        *left += MAX(w->now.item_count - appended, 0);
}

bool table_worker_is_over(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->state == WORKER_STOPPED ||
           (w->p->mode == SYNC_FULL && w->committed.finished_ms > 0 &&
            w->committed.generation == w->now.generation && w->adoption_committed &&
            w->begin_offsets_recorded && !w->dirty);
}

static void make_metrics(struct table_worker *w)
{
    AUTO(free_charp) char *labels = metric_labels("table", w->table, NULL);

    w->metrics = (struct worker_metrics){
        .rows = metric_get(METRIC_COUNTER, "dynaferry_producer_rows_total",
                           "snapshot rows appended", labels),
        .changes = metric_get(METRIC_COUNTER, "dynaferry_producer_changes_total",
                              "changes appended", labels),
        .dead_letters = metric_get(METRIC_COUNTER, "dynaferry_producer_dead_letters_total",
                                   "records that went to the dead letters", labels),
        .phase = metric_get(METRIC_GAUGE, "dynaferry_producer_table_phase",
                            "0 snapshot, 1 tail, 2 gap, 3 paused, 4 gone, 5 failed", labels),
        .trim_seconds = metric_get(METRIC_GAUGE, "dynaferry_producer_trim_seconds",
                                   "until the stream trims what was not read yet", labels),
        .repaired = metric_get(METRIC_COUNTER, "dynaferry_producer_repaired_total",
                               "items appended by repairs", labels),
        .signals_refused =
            metric_get(METRIC_COUNTER, "dynaferry_producer_signals_refused_total",
                       "requests that were refused", labels),
    };
}

static void blank_record(struct ledger_table *t, const struct table_worker *w)
{
    t->table = xstrdup(w->table);
    t->topic = xstrdup(w->topic);
    t->phase = PHASE_SNAPSHOT;
    t->reason = xstrdup("");
    t->table_id = xstrdup("");
    t->stream_arn = xstrdup("");
    t->log_id = xstrdup("");
    t->signal_offset = -1;
}

static void load_committed(struct table_worker *w)
{
    struct error err;
    int found = ledger_cache_table(w->p->cache, w->table, &w->committed, &err);

    if (found <= 0)
        blank_record(&w->committed, w);
    ledger_table_copy(&w->now, &w->committed);
    if (found < 0)
        table_worker_fail(w, PHASE_FAILED, err.message);
}

struct table_worker *table_worker_new(struct producer *p, struct ledger_partition *home,
                                      struct topic_writer *writer, int32_t ledger_partition,
                                      const char *table)
{
    struct table_worker *w = xcalloc(1, sizeof(*w));

    w->p = p;
    w->home = home;
    w->writer = writer;
    w->refusals = p->refusals[ledger_partition];
    w->ledger_partition = ledger_partition;
    w->table = xstrdup(table);
    w->topic = kafka_data_topic(p->config, table);
    w->barrier = barrier_new();
    w->member = (struct topic_writer_member){.committed = on_committed,
                                             .aborted = on_aborted,
                                             .topic_failed = on_topic_failed,
                                             .table = w->table,
                                             .topic = w->topic,
                                             .arg = w};
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->record_lock, NULL);
    atomic_init(&w->refs, 1);
    w->control = (struct step){.run = table_control_step, .ended = control_ended, .arg = w};
    make_metrics(w);
    ledger_partition_ref(home);
    load_committed(w);
    return w;
}

void table_worker_start(struct table_worker *w)
{
    w->topic_handle = topic_writer_topic(w->writer, w->topic);
    /* what an older worker has in a transaction of unknown outcome is found again, if it must
     */
    refusals_committed(w->refusals, bytes_of(w->topic));
    topic_writer_join(w->writer, &w->member);
    table_signals_start(w);
    table_worker_schedule(w, &w->control, 0);
}

void table_worker_stop(struct table_worker *w)
{
    struct tree_shard *s;

    atomic_store(&w->stopping, true);
    pthread_mutex_lock(&w->lock);
    step_wake(w->p->pool, &w->control);
    step_wake(w->p->pool, &w->signals.step);
    for (int64_t i = 0; i < w->segment_count; i++)
        step_wake(w->p->pool, &w->segments[i].step);
    for (s = w->tree.shards; s; s = s->hh.next)
        if (s->reader)
            shard_reader_wake(s->reader);
    pthread_mutex_unlock(&w->lock);
    table_worker_unref(w);
}

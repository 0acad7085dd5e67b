#include "producer/table_worker.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/ddb_table.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/mutation.h"
#include "producer/appender.h"
#include "producer/ledger_partition.h"
#include "producer/shard_reader.h"
#include "producer/snapshot.h"
#include "producer/table_start.h"

#define CONTROL_MS 500
#define CHILD_FIRST_MS                                                                         \
    50 /* a closed shard's children are looked for, then ever more slowly                      \
        */
#define CHILD_SLOWEST_MS 2000
#define DESCRIBE_EVERY_MS 30000 /* a stream that was disabled, a table that is gone */
#define ABORT_PAUSE_MS 50
#define ABORT_PAUSE_LONGEST_MS 10000
#define ORPHAN_ASKS 10 /* then an unknown parent is a gap, not a late listing */

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
    if (w->scan_slot)
        limits_scan_end(w->p->limits);
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

    AUTO_LOCK(&w->lock);
    ours = w->dirty;
    if (w->dirty) {
        ledger_table_release(&w->committed);
        ledger_table_copy(&w->committed, &w->now);
        w->dirty = false;
        w->adoption_committed = w->state != WORKER_START;
        step_wake(w->p->pool, &w->control);
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
    if (!w->dirty)
        return;
    ledger_table_release(&w->now);
    ledger_table_copy(&w->now, &w->committed);
    w->dirty = false;
    w->begin_offsets_recorded = w->begin_offsets == NULL; /* once more does no harm */
    if (w->state == WORKER_ADOPTED && !w->adoption_committed)
        w->state = WORKER_START;
    else if (w->state == WORKER_STOPPED)
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

/* ---- the stream's shards ---- */

static int append_new_shards(struct table_worker *w, struct pool_local *local,
                             struct error *err)
{
    struct tree_shard *s;

    /* only this step adds or removes shards, so the list stays while the lock is not held */
    for (s = w->tree.shards; s; s = s->hh.next) {
        if (s->recorded || s->reader) /* a reader's own record must not be followed by this */
            continue;
        if (append_ledger_shard(w, local, &s->committed, err) < 0)
            return -1;
        s->recorded = true;
    }
    return 0;
}

static int64_t merge_shards(struct table_worker *w, const struct ddb_stream *stream)
{
    const char *orphan;
    size_t added;

    pthread_mutex_lock(&w->lock);
    added = shard_tree_merge(&w->tree, stream, w->now.generation, clock_wall_ms(), &orphan);
    w->child_asks = added ? 0 : w->child_asks + 1;
    w->orphan_asks = orphan ? w->orphan_asks + 1 : 0;
    pthread_mutex_unlock(&w->lock);
    if (added)
        log_info("shards found", "table=%s added=%zu", w->table, added);
    if (w->orphan_asks > ORPHAN_ASKS) {
        AUTO(free_charp)
        char *why = xasprintf("the parent of shard %s is neither read nor listed", orphan);

        table_worker_fail(w, PHASE_GAP, why);
    }
    return (int64_t)added;
}

static void describe_stream(struct table_worker *w, struct pool_local *local)
{
    AUTO(ddb_stream_freep) struct ddb_stream *stream = NULL;
    AUTO(free_charp) char *arn = NULL;
    struct error err;

    pthread_mutex_lock(&w->lock);
    arn = xstrdup(w->now.stream_arn);
    pthread_mutex_unlock(&w->lock);
    if (ddb_describe_stream(&stream, local->client, arn, &err) < 0) {
        log_warn("stream can't be described now", "table=%s reason=%s", w->table, err.message);
        return;
    }
    if (merge_shards(w, stream) == 0)
        return;
    if (topic_writer_enter(w->writer, &err) < 0)
        return;
    if (append_new_shards(w, local, &err) < 0)
        topic_writer_fail(w->writer, err.message);
    topic_writer_exit(w->writer);
}

/* A table that is gone, made again, or without its stream has a gap. */
static void describe_table(struct table_worker *w, struct pool_local *local)
{
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    AUTO(ledger_table_release) struct ledger_table now = {0}; /* an abort replaces w->now */
    struct start_decision d;
    struct error err;

    if (ddb_describe_table(&desc, local->client, w->table, &err) < 0) {
        if (ddb_client_error(local->client) == DDB_NOT_FOUND)
            table_worker_fail(w, PHASE_GONE, "the table was deleted");
        else
            log_warn("table can't be described now", "table=%s reason=%s", w->table,
                     err.message);
        return;
    }
    pthread_mutex_lock(&w->lock);
    ledger_table_copy(&now, &w->now);
    pthread_mutex_unlock(&w->lock);
    d = start_decide(w->p->mode, w->p->started_ms, &now, desc, w->partitions);
    if (d.verdict == START_STOP)
        table_worker_fail(w, d.phase, d.reason);
}

static int64_t look_at_source(struct table_worker *w, struct pool_local *local,
                              bool wants_children)
{
    int64_t now = clock_mono_ms();
    bool routine = now - w->described_ms > DESCRIBE_EVERY_MS;

    if (!wants_children && w->orphan_asks == 0)
        w->child_asks = 0;
    if (w->p->mode == SYNC_FULL)
        return CONTROL_MS;
    if (routine) {
        w->described_ms = now;
        describe_table(w, local);
    }
    if (routine || wants_children || w->orphan_asks > 0)
        describe_stream(w, local);
    if (!wants_children && w->orphan_asks == 0)
        return CONTROL_MS;
    return MIN(CHILD_FIRST_MS << MIN(w->child_asks, 6), CHILD_SLOWEST_MS);
}

static void forget_shard(struct table_worker *w, struct pool_local *local)
{
    struct tree_shard *s;
    struct error err;

    pthread_mutex_lock(&w->lock);
    s = shard_tree_forgettable(&w->tree, clock_wall_ms());
    pthread_mutex_unlock(&w->lock);
    if (!s || topic_writer_enter(w->writer, &err) < 0)
        return;
    if (append_ledger_shard_tombstone(w, local, s->now.id, &err) < 0)
        topic_writer_fail(w->writer, err.message);
    else {
        pthread_mutex_lock(&w->lock);
        shard_tree_remove(&w->tree, s, shard_reader_free);
        pthread_mutex_unlock(&w->lock);
    }
    topic_writer_exit(w->writer);
}

/* ---- the table's own record ---- */

/* Changes the record by change(), appends it. */
static int append_record(struct table_worker *w, struct pool_local *local,
                         void (*change)(struct table_worker *w), struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table copy = {0};
    int result;

    if (topic_writer_enter(w->writer, err) < 0)
        return -1;
    pthread_mutex_lock(&w->record_lock);
    pthread_mutex_lock(&w->lock);
    change(w);
    w->dirty = true;
    ledger_table_copy(&copy, &w->now);
    pthread_mutex_unlock(&w->lock);
    result = append_ledger_table(w, local, &copy, err);
    pthread_mutex_unlock(&w->record_lock);
    if (result < 0)
        topic_writer_fail(w->writer, err->message);
    topic_writer_exit(w->writer);
    topic_writer_hurry(w->writer);
    return result;
}

static void set_begin_offsets(struct table_worker *w)
{
    size_t n = sizeof(*w->begin_offsets) * (size_t)w->partitions;

    free(w->now.begin_offsets);
    w->now.begin_offsets = memcpy(xmalloc(n), w->begin_offsets, n);
    w->begin_offsets_recorded = true;
}

static void set_stopped(struct table_worker *w)
{
    w->now.phase = w->stop_phase;
    free(w->now.reason);
    w->now.reason = xstrdup(w->stop_reason);
    w->state = WORKER_STOPPED;
    if (w->scan_slot) /* other tables wait for it */
        limits_scan_end(w->p->limits);
    w->scan_slot = false;
}

static int64_t stop_table(struct table_worker *w, struct pool_local *local)
{
    struct error err;

    if (append_record(w, local, set_stopped, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : CONTROL_MS;
    metric_set(w->metrics.phase, w->stop_phase);
    log_error("table stands still", "table=%s phase=%s reason=%s", w->table,
              ledger_phase_name(w->stop_phase), w->stop_reason);
    return STEP_END;
}

/* ---- the control step ---- */

/* Everything that should run and does not is started; also after an abort went back. */
static bool start_what_should_run(struct table_worker *w)
{
    struct tree_shard *s;

    AUTO_LOCK(&w->lock);
    if (w->now.phase == PHASE_SNAPSHOT && !w->scan_slot)
        w->scan_slot = limits_scan_begin(w->p->limits);
    for (int64_t i = 0; w->scan_slot && w->now.phase == PHASE_SNAPSHOT && i < w->segment_count;
         i++)
        segment_start(w, &w->segments[i]);
    if (w->now.phase != PHASE_SNAPSHOT && w->scan_slot) {
        w->scan_slot = false;
        limits_scan_end(w->p->limits);
    }
    for (s = w->tree.shards; s; s = s->hh.next)
        if (shard_is_ready(&w->tree, s))
            shard_reader_start(w, s);
    return shard_tree_wants_children(&w->tree);
}

static void show(struct table_worker *w)
{
    int64_t complete_to;

    AUTO_LOCK(&w->lock);
    complete_to = shard_tree_complete_to(&w->tree);
    metric_set(w->metrics.phase, w->now.phase);
    if (complete_to != INT64_MAX)
        metric_set(w->metrics.trim_seconds,
                   (complete_to + 24 * 3600000LL - clock_wall_ms()) / 1000);
}

static int64_t run(struct table_worker *w, struct pool_local *local)
{
    bool wants_children = start_what_should_run(w);
    struct error err;

    if (!w->begin_offsets_recorded && append_record(w, local, set_begin_offsets, &err) < 0)
        return CONTROL_MS;
    show(w);
    if (table_worker_is_over(w))
        return STEP_END;
    forget_shard(w, local);
    return look_at_source(w, local, wants_children);
}

static int64_t control_step(void *arg, void *local)
{
    struct table_worker *w = arg;
    enum worker_state state;
    bool stop;

    if (atomic_load(&w->stopping))
        return STEP_END;
    pthread_mutex_lock(&w->lock);
    if (w->state == WORKER_ADOPTED && w->adoption_committed)
        w->state = WORKER_RUN;
    state = w->state;
    stop = w->stop_reason != NULL;
    pthread_mutex_unlock(&w->lock);
    if (stop && state != WORKER_STOPPED)
        return stop_table(w, local);
    switch (state) {
    case WORKER_START:
        return table_start(w, local);
    case WORKER_ADOPTED:
        return CONTROL_MS;
    case WORKER_RUN:
        return run(w, local);
    case WORKER_STOPPED:
        break;
    }
    return STEP_END;
}

static void control_ended(void *arg)
{
    table_worker_unref(arg);
}

bool table_worker_is_over(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->state == WORKER_STOPPED ||
           (w->p->mode == SYNC_FULL && w->committed.finished_ms > 0 &&
            w->committed.generation == w->now.generation && w->adoption_committed &&
            w->begin_offsets_recorded && !w->dirty);
}

/* ---- making one ---- */

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
    w->ledger_partition = ledger_partition;
    w->table = xstrdup(table);
    w->topic = kafka_data_topic(p->config, table);
    w->barrier = barrier_new();
    w->member = (struct topic_writer_member){.committed = on_committed,
                                             .aborted = on_aborted,
                                             .topic_failed = on_topic_failed,
                                             .arg = w};
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->record_lock, NULL);
    atomic_init(&w->refs, 1);
    w->control = (struct step){.run = control_step, .ended = control_ended, .arg = w};
    make_metrics(w);
    ledger_partition_ref(home);
    load_committed(w);
    return w;
}

void table_worker_start(struct table_worker *w)
{
    topic_writer_join(w->writer, &w->member);
    table_worker_schedule(w, &w->control, 0);
}

void table_worker_stop(struct table_worker *w)
{
    struct tree_shard *s;

    atomic_store(&w->stopping, true);
    pthread_mutex_lock(&w->lock);
    step_wake(w->p->pool, &w->control);
    for (int64_t i = 0; i < w->segment_count; i++)
        step_wake(w->p->pool, &w->segments[i].step);
    for (s = w->tree.shards; s; s = s->hh.next)
        if (s->reader)
            shard_reader_wake(s->reader);
    pthread_mutex_unlock(&w->lock);
    table_worker_unref(w);
}

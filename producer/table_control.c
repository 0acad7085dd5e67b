#include "producer/table_control.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/ddb_table.h"
#include "common/log.h"
#include "producer/appender.h"
#include "producer/shard_reader.h"
#include "producer/snapshot.h"
#include "producer/start_decision.h"
#include "producer/table_record.h"
#include "producer/table_start.h"

#define CONTROL_MS 500
#define CHILD_FIRST_MS                                                                         \
    50 /* children of a closed shard are looked for, then ever more slowly                     \
        */
#define CHILD_SLOWEST_MS 2000
#define DESCRIBE_EVERY_MS 30000 /* a stream that was disabled, a table that is gone */
#define ORPHAN_ASKS 10          /* then an unknown parent is a gap, not a late listing */

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
    if (topic_writer_enter(w->writer, &w->member, NULL, &err) < 0)
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
    if (!s || topic_writer_enter(w->writer, &w->member, NULL, &err) < 0)
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

static void set_begin_offsets(struct table_worker *w, void *arg)
{
    size_t n = sizeof(*w->begin_offsets) * (size_t)w->partitions;

    (void)arg;
    free(w->now.begin_offsets);
    w->now.begin_offsets = memcpy(xmalloc(n), w->begin_offsets, n);
    w->begin_offsets_recorded = true;
}

static void set_stopped(struct table_worker *w, void *arg)
{
    (void)arg;
    w->now.phase = w->stop_phase;
    free(w->now.reason);
    w->now.reason = xstrdup(w->stop_reason);
    w->state = WORKER_STOPPED;
    if (w->scan_slot) /* other tables wait for it */
        limits_scan_end(w->p->limits);
    w->scan_slot = false;
}

/* Not healthy from now on. */
static struct health *standstill(const char *table)
{
    AUTO(free_charp) char *name = xasprintf("table %s", table);

    return health_get(name, 0);
}

static int64_t stop_table(struct table_worker *w, struct pool_local *local)
{
    struct error err;

    if (table_record_change(w, local, set_stopped, NULL, &err) < 0)
        return err.kind == ERR_FENCED ? STEP_END : CONTROL_MS;
    metric_set(w->metrics.phase, w->stop_phase);
    if (w->stop_phase != PHASE_GONE && !w->standstill)
        w->standstill = standstill(w->table);
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

    if (!w->begin_offsets_recorded &&
        table_record_change(w, local, set_begin_offsets, NULL, &err) < 0)
        return CONTROL_MS;
    show(w);
    if (table_worker_is_over(w))
        return STEP_END;
    forget_shard(w, local);
    return look_at_source(w, local, wants_children);
}

int64_t table_control_step(void *arg, void *local)
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

#include "producer/ledger_dues.h"

#include "common/base/clock.h"
#include "producer/append.h"
#include "producer/table_record.h"

#define RECORDS_AT_ONCE 100   /* first records of shards, in one hold of the gate */
#define FORGET_EVERY_MS 10000 /* tombstones */
#define FORGET_AT_ONCE 100

/* ---- the table's own record ---- */

static bool set_begin_offsets(struct table_worker *w, void *arg)
{
    struct ledger_table *t = &w->appended.now;
    size_t n = sizeof(*w->begin_offsets) * (size_t)w->partitions;

    (void)arg;
    if (!t->begin_offsets && w->begin_delivered)
        t->begin_offsets = memcpy(xmalloc(n), w->begin_offsets, n);
    return true; /* it may also be due for another reason */
}

static bool record_is_due(struct table_worker *w)
{
    const struct table_state *state = &w->appended;

    AUTO_LOCK(&w->lock);
    return state->record_due ||
           (!state->now.begin_offsets && w->begin_delivered && w->begin_offsets);
}

/* ---- first records of shards ---- */

/* Parents first, each part of a transaction whole. */
static int append_unrecorded(struct append_context *a, struct error *err)
{
    struct table_worker *w = a->w;
    struct shard_tree *tree = &w->appended.tree;

    AUTO_LOCK(&w->record_lock); /* no reader's own record comes between */
    for (int i = 0; i < RECORDS_AT_ONCE; i++) {
        AUTO(ledger_shard_release) struct ledger_shard copy = {0};
        struct tree_shard *shard;

        pthread_mutex_lock(&w->lock);
        shard = shard_tree_unrecorded(tree);
        if (shard) {
            ledger_shard_copy(&copy, &shard->now);
            shard_recorded(tree, shard);
        }
        pthread_mutex_unlock(&w->lock);
        if (!shard)
            return 0;
        if (append_ledger_shard(a, &copy, err) < 0)
            return -1;
    }
    return 0;
}

static bool shards_are_due(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->appended.tree.unrecorded > 0;
}

/* ---- tombstones ---- */

/* Shards stay where they are meanwhile: only a commit removes them. */
static int append_shard_tombstones(struct append_context *a, int64_t now, struct error *err)
{
    struct table_worker *w = a->w;
    struct shard_tree *tree = &w->appended.tree;
    struct tree_shard *shard = NULL;

    for (int i = 0; i < FORGET_AT_ONCE; i++) {
        AUTO(free_charp) char *id = NULL;

        pthread_mutex_lock(&w->lock);
        shard = shard_tree_forgettable(tree, shard, now);
        if (shard) {
            id = xstrdup(shard->now.id);
            shard_forgotten(tree, shard);
        }
        pthread_mutex_unlock(&w->lock);
        if (!id)
            return 0;
        if (append_ledger_shard_tombstone(a, id, err) < 0)
            return -1;
    }
    return 0;
}

static int append_tombstones(struct append_context *a, struct error *err)
{
    struct table_worker *w = a->w;
    struct table_state *state = &w->appended;
    int64_t now = ddb_source_now_ms(w->p->source);
    bool segments;

    pthread_mutex_lock(&w->lock);
    segments = table_state_segments_forgettable(state, now);
    state->segments_forgotten = state->segments_forgotten || segments;
    pthread_mutex_unlock(&w->lock);
    for (int64_t i = 0; segments && i < state->segment_count; i++)
        if (append_ledger_segment_tombstone(a, i, err) < 0)
            return -1;
    return append_shard_tombstones(a, now, err);
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

/* Under lock. */
static bool set_finished(struct table_worker *w, void *arg)
{
    table_state_end_snapshot(&w->appended.now, *(const int64_t *)arg);
    return true;
}

/* Behind all pages: under the gate, and only while none was taken back. */
int ledger_dues_append_end(struct append_context *a, struct error *err)
{
    struct table_worker *w = a->w;
    AUTO(ledger_table_release) struct ledger_table t = {0};
    int64_t now = ddb_source_now_ms(w->p->source);
    bool due;

    pthread_mutex_lock(&w->lock);
    due = w->scan_confirmed && w->appended.now.phase == PHASE_SNAPSHOT &&
          table_state_all_scanned(&w->appended) && !w->halt_reason;
    ledger_table_copy(&t, &w->appended.now);
    pthread_mutex_unlock(&w->lock);
    if (!due)
        return 0;
    if (append_control(a, CONTROL_SNAPSHOT_END, &t, NULL, err) < 0)
        return -1;
    return table_record_append(a, set_finished, &now, err);
}

static bool end_is_due(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    return w->scan_confirmed && w->appended.now.phase == PHASE_SNAPSHOT &&
           table_state_all_scanned(&w->appended);
}

/* ---- all of it ---- */

/* In a hold of the gate of its own. False: not now. */
static bool append_alone(struct append_context *a,
                         int (*append)(struct append_context *, struct error *))
{
    struct table_worker *w = a->w;
    struct error err;
    bool done;

    if (topic_writer_gate_enter(w->writer, &w->member, &w->control, &err) < 0)
        return false;
    done = append(a, &err) == 0;
    if (!done)
        topic_writer_request_abort(w->writer, err.message);
    topic_writer_gate_exit(w->writer);
    return done;
}

bool ledger_dues_append(struct append_context *a)
{
    struct table_worker *w = a->w;
    struct error err;

    if (record_is_due(w) &&
        table_record_change(a, &w->control, set_begin_offsets, NULL, &err) < 0)
        return false;
    if (end_is_due(w) && append_alone(a, ledger_dues_append_end))
        topic_writer_commit_soon(w->writer);
    if (shards_are_due(w))
        return append_alone(a, append_unrecorded);
    if (tombstones_are_due(w))
        append_alone(a, append_tombstones);
    return false;
}

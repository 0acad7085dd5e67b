#include "fullcheck/table_passes.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/retry.h"
#include "common/run/stop.h"
#include "fullcheck/outline.h"
#include "fullcheck/page_check.h"
#include "fullcheck/recheck.h"
#include "fullcheck/target_keys.h"

/* ---- the threads ---- */

struct job {
    struct scan_segment *segment; /* a page of it; NULL: keys to be rechecked */
    struct pending_key *keys[DDB_ITEMS_AT_MOST];
    size_t count;
};

static struct scan_segment *free_segment(struct table_check *t)
{
    for (int64_t i = 0; pending_has_room(&t->pending) && i < t->segment_count; i++)
        if (!t->segments[i].busy && !t->segments[i].done)
            return &t->segments[i];
    return NULL;
}

static bool next_job(struct table_check *t, struct job *job, const struct ddb_side *ddb)
{
    AUTO_LOCK(&t->lock);
    for (; table_check_goes_on(t); table_check_wait(t, pending_due_ms(&t->pending))) {
        *job = (struct job){0};
        job->count = pending_take(&t->pending, job->keys, ddb_side_keys(ddb), clock_mono_ms());
        if (job->count)
            return true;
        job->segment = free_segment(t);
        if (job->segment) {
            job->segment->busy = true;
            return true;
        }
    }
    return false;
}

static void job_done(struct table_check *t, const struct job *job)
{
    AUTO_LOCK(&t->lock);
    if (job->segment)
        job->segment->busy = false;
    pthread_cond_broadcast(&t->changed);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct table_check *t = w->table;
    struct job job;
    struct error err;

    while (next_job(t, &job, &w->ddb)) {
        int result = job.segment ? page_check(w, job.segment, &err)
                                 : recheck_keys(w, job.keys, job.count, &err);

        if (result < 0)
            table_check_fail(t, &err);
        job_done(t, &job);
    }
    return NULL;
}

static void start_threads(struct table_check *t, struct worker *workers)
{
    for (int i = 0; i < t->check->options.threads; i++) {
        workers[i].table = t;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort(); /* as for memory */
    }
}

static void end_threads(struct table_check *t, struct worker *workers)
{
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->over, true);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->check->options.threads; i++)
        pthread_join(workers[i].thread, NULL);
}

/* ---- what the main thread waits for ---- */

/* Under lock. */
static bool is_scanned(const struct table_check *t)
{
    for (int64_t i = 0; i < t->segment_count; i++)
        if (t->segments[i].busy || !t->segments[i].done) /* done is the busy thread's */
            return false;
    return true;
}

/* Under lock. */
static bool is_idle(const struct table_check *t)
{
    return is_scanned(t) && pending_is_empty(&t->pending);
}

/* Under lock. */
static void show_progress(const struct table_check *t)
{
    int64_t items = atomic_load(&t->items), sampled = (int64_t)t->sample.count;

    if (t->sample.most && is_scanned(t))
        table_check_show(t, "items", "compared", t->checked, MAX(sampled - t->checked, 0));
    else
        table_check_show(t, "items", t->sample.most ? "read" : "compared", items,
                         table_check_left(t, items));
}

/* Until all segments are read and no key is pending. false: failed, or to be stopped. */
static bool await_threads(struct table_check *t)
{
    AUTO_LOCK(&t->lock);
    for (; table_check_goes_on(t) && !is_idle(t); table_check_wait(t, INT64_MAX))
        show_progress(t);
    table_check_pass_over(t);
    return table_check_goes_on(t);
}

static void make_segments(struct table_check *t)
{
    AUTO_LOCK(&t->lock);
    t->segment_count = t->check->options.threads;
    t->segments = xcalloc((size_t)t->segment_count, sizeof(*t->segments));
    for (int64_t i = 0; i < t->segment_count; i++)
        t->segments[i].number = i;
}

static bool recheck_sample(struct table_check *t)
{
    for (size_t i = 0; i < t->sample.count; i++) {
        const struct sample_key *drawn = t->sample.heap[i];

        if (!table_check_add(t, (struct bytes){drawn->text, drawn->len}, PENDING_ITEM))
            break;
    }
    return await_threads(t);
}

/* Before the threads start; pending has room for all of them. */
static void add_misplaced(struct table_check *t)
{
    const struct misplaced_key *misplaced;

    for (misplaced = t->misplaced.by_text; misplaced; misplaced = misplaced->hh.next)
        pending_add(&t->pending, (struct bytes){misplaced->text, misplaced->len}, PENDING_ITEM);
}

/* The main thread has a worker of its own for this: the one behind the threads'. */
static bool recheck_extras(struct table_check *t, struct worker *own)
{
    struct error err;

    if (fingerprint_equal(t->of_items, t->of_documents))
        return true;
    if (target_keys_add_doubtful(own, &err) < 0) {
        table_check_fail(t, &err);
        return false;
    }
    return await_threads(t);
}

/* A repair whose outcome is not awaited any more leaves the difference that it was for. */
static void count_unrepaired(struct table_check *t)
{
    AUTO_LOCK(&t->lock);
    for (struct pending_key *entry = t->pending.by_text; entry; entry = entry->hh.next)
        if (entry->line) {
            report_write(&t->check->report, bytes_of(entry->line), false);
            t->differences[entry->kind]++;
        }
}

static bool check_all(struct table_check *t, struct worker *workers)
{
    struct worker *own = &workers[t->check->options.threads];
    bool whole;

    if (!t->sample.most)
        add_misplaced(t);
    make_segments(t);
    start_threads(t, workers);
    whole = await_threads(t) && (!t->sample.most || recheck_sample(t)) &&
            (!t->of_documents || recheck_extras(t, own));
    end_threads(t, workers);
    count_unrepaired(t);
    return whole;
}

/* ---- from the outline to the end ---- */

static int describe(struct table_check *t, struct worker *own, struct error *err)
{
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    struct retry retry;

    retry_init(&retry, t->check->retry_limit_ms);
    while (ddb_table_describe(&desc, own->ddb.client, t->name, err) < 0)
        if (!retry_again(&retry, ddb_client_error(own->ddb.client) == DDB_THROTTLED, err))
            return error_prefix(err, "DynamoDB");
    if (!desc->key_schema.hash.name)
        return error_set(err, ERR_DATA, "the table is being deleted");
    key_schema_copy(&t->schema, &desc->key_schema);
    key_form_init(&t->key, &t->check->form, &t->schema, t->check->by_id);
    t->estimate = desc->item_count;
    return 0;
}

/* Where there is nothing at all no index is missed: the collection may not be there yet. */
static bool lacks_index(const struct table_result *row)
{
    return strcmp(row->index, "missing") == 0 && (row->items > 0 || row->documents > 0);
}

/* 1: the outline decides; 0: every item is to be checked. */
static int check_outline(struct table_result *ret, struct table_check *t, struct worker *own,
                         struct error *err)
{
    struct outline_counts counts;
    int64_t ours;

    if (outline_index(&ret->index, own, err) < 0)
        return -1;
    if (t->check->options.outline == OUTLINE_GO)
        return 0;
    if (outline_count(&counts, own, err) < 0)
        return -1;
    ret->items = counts.items;
    ret->documents = counts.documents;
    ret->foreign = counts.foreign;
    ours = counts.documents - counts.foreign;
    if (counts.items != ours && !stop_requested()) /* else it was not awaited */
        buf_printf(&ret->reason, "%" PRId64 " items, but %" PRId64 " documents", counts.items,
                   ours);
    return t->check->options.outline == OUTLINE_ONLY || ret->reason.len || lacks_index(ret);
}

static int run(struct table_result *ret, struct table_check *t, struct worker *workers,
               struct error *err)
{
    struct worker *own = &workers[t->check->options.threads];
    int outline;

    own->table = t;
    if (describe(t, own, err) < 0)
        return -1;
    outline = check_outline(ret, t, own, err);
    if (outline != 0)
        return outline;
    if ((t->of_documents ? target_keys_read(own, &ret->documents, &ret->foreign, err)
                         : outline_documents(&ret->documents, own, err)) < 0)
        return -1;
    ret->complete = check_all(t, workers) && !t->sample.most;
    ret->items = atomic_load(&t->items);
    return 0;
}

/* ---- the result ---- */

static void add_reason(struct table_result *row, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add_reason(struct table_result *row, const char *fmt, ...)
{
    AUTO(free_charp) char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    buf_printf(&row->reason, "%s%s", row->reason.len ? "; " : "", text);
}

static bool is_different(const struct table_result *row)
{
    for (size_t i = 0; i < DIFFERENCE_KINDS; i++)
        if (row->differences[i])
            return true;
    return row->reason.len || lacks_index(row);
}

static void conclude(struct table_result *ret, const struct table_check *t, bool decided)
{
    bool different;

    memcpy(ret->differences, t->differences, sizeof(ret->differences));
    ret->repaired = t->repaired;
    ret->checked = atomic_load(&t->checked);
    different = is_different(ret);
    if (stop_requested())
        add_reason(ret, "interrupted");
    else if (!decided)
        add_reason(ret, "%s", t->failure.message);
    if (t->undecided)
        add_reason(ret, "%" PRId64 " items changed too often to be compared", t->undecided);
    decided = decided && !stop_requested() && !t->undecided;
    ret->complete = ret->complete && decided;
    ret->result = different ? RESULT_DIFFERENT : decided ? RESULT_SAME : RESULT_UNKNOWN;
}

void table_passes_run(struct table_result *ret, struct check *check, struct worker *workers)
{
    struct table_check t;
    bool decided;

    ret->documents = -1;
    ret->index = "not checked";
    buf_init(&ret->reason, 4096);
    table_check_init(&t, check, ret->table);
    decided = run(ret, &t, workers, &t.failure) >= 0 && !t.failed;
    conclude(ret, &t, decided);
    log_info("table checked",
             "table=%s result=%s items=%" PRId64 " checked=%" PRId64 " reason=" BYTES_FMT,
             ret->table, report_result_name(ret->result), ret->items, ret->checked,
             BYTES_ARG(ret->reason));
    table_check_release(&t);
}

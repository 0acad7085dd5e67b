#include "producer/table_report.h"

#include "producer/table_record.h"

#define WAIT_MS 200
/* The service's time is an estimate that may be set back by a second; who asks adds a second to
 * the time of the answer. */
#define CLOCK_MS 2000

void table_report_ask(struct table_worker *w)
{
    atomic_store(&w->report_ms, ddb_source_now_ms(w->p->source) + CLOCK_MS);
    step_wake(w->p->pool, &w->look.step);
}

/* Under lock: the record does not say yet what was asked for. */
static bool is_due(const struct table_worker *w)
{
    return w->p->mode != SYNC_FULL && w->state == WORKER_RUNNING &&
           w->appended.now.listed_ms < atomic_load(&w->report_ms);
}

int64_t table_report_list_ms(const struct table_worker *w)
{
    int64_t asked_ms = atomic_load(&w->report_ms);

    if (!is_due(w) || w->look.listed_since_ms >= asked_ms)
        return -1;
    return MAX(asked_ms - ddb_source_now_ms(w->p->source), 0);
}

void table_report_list_begins(struct table_worker *w)
{
    w->look.list_began_ms = ddb_source_now_ms(w->p->source);
}

void table_report_listed(struct table_worker *w)
{
    w->look.listed_since_ms = w->look.list_began_ms;
}

/* Also when it began before the last question: it may answer an earlier one. */
static bool note(struct table_worker *w, void *arg)
{
    (void)arg;
    if (!is_due(w) || w->look.listed_since_ms <= w->appended.now.listed_ms ||
        w->appended.tree.unrecorded > 0)
        return false;
    w->appended.now.listed_ms = w->look.listed_since_ms;
    return true;
}

int64_t table_report_go_on(struct append_context *a, int64_t idle_ms)
{
    struct table_worker *w = a->w;
    struct error err;
    bool due;

    pthread_mutex_lock(&w->lock);
    due = is_due(w);
    pthread_mutex_unlock(&w->lock);
    if (!due)
        return idle_ms;
    if (table_record_change(a, &w->requests.step, note, NULL, &err) < 0 &&
        err.kind == ERR_FENCED)
        return STEP_END;
    return WAIT_MS;
}

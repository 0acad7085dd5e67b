/* A table's steps run on any thread of the pool, and its commits and aborts on the topic
 * writer's. They meet here. Two orders make that safe. An abort first takes the positions back
 * and then makes the barrier's tickets stale, so whoever takes a ticket and then reads a
 * position has either the right one, or a ticket that is refused. And the state is changed
 * under `lock` alone while nothing is asked or appended under it, so a commit never waits for
 * the source. */
#include "producer/table_worker.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/run/log.h"
#include "producer/start_decision.h"

#define ABORT_PAUSE_MS 50
#define ABORT_PAUSE_LONGEST_MS 10000
#define LOG_AGAIN_MS 60000 /* a trouble that lasts is logged once per minute */

/* ---- life ---- */

void table_worker_ref(struct table_worker *w)
{
    atomic_fetch_add(&w->refs, 1);
}

void table_worker_unref(struct table_worker *w)
{
    if (atomic_fetch_sub(&w->refs, 1) == 1)
        w->destroy(w);
}

struct append_context *table_worker_context(struct table_worker *w, void *context)
{
    struct append_context *a = context;

    a->w = w;
    return a;
}

bool table_worker_schedule(struct table_worker *w, struct step *step, int64_t delay_ms)
{
    table_worker_ref(w);
    if (step_schedule(w->p->pool, step, delay_ms))
        return true;
    table_worker_unref(w);
    return false;
}

bool table_worker_part_begins(struct table_worker *w, struct step *step)
{
    if (!table_worker_schedule(w, step, 0)) /* its end waits for the lock */
        return false;
    w->parts++;
    return true;
}

void table_worker_part_ended(struct table_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->parts--;
    pthread_mutex_unlock(&w->lock);
    table_worker_unref(w);
}

bool table_worker_hold_generation(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    if (w->state != WORKER_RUNNING || w->halt_reason)
        return false;
    w->parts++;
    return true;
}

void table_worker_release_generation(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    w->parts--;
}

bool table_worker_runs(struct table_worker *w)
{
    if (atomic_load(&w->stopping))
        return false;
    AUTO_LOCK(&w->lock);
    return w->state == WORKER_RUNNING && !w->halt_reason;
}

int64_t table_worker_pause_ms(struct table_worker *w)
{
    int64_t held = topic_writer_gate_wait_ms(w->writer, &w->member);

    AUTO_LOCK(&w->lock);
    return MAX(held, w->aborts < 2 ? 0 : MAX(w->resume_ms - clock_mono_ms(), 0));
}

/* Between two of these there is no progress: aborts may go round in them for ever. */
static bool is_on_its_way(enum worker_state state)
{
    return state == WORKER_STARTING || state == WORKER_ADOPTING || state == WORKER_HALTING ||
           state == WORKER_START_APPENDED;
}

void table_worker_set_state(struct table_worker *w, enum worker_state state)
{
    bool goes_on = is_on_its_way(w->state) && is_on_its_way(state);

    if (w->state != state && !goes_on)
        w->state_ms = clock_mono_ms();
    if (state == WORKER_STARTING && w->state != state && w->state != WORKER_UNREADABLE)
        w->ledger_unseen = true;
    w->state = state;
}

void table_worker_end_scan(struct table_worker *w)
{
    if (w->scan_slot)
        throttle_scan_end(w->p->throttle);
    w->scan_slot = false;
}

void table_worker_halt_appended(struct table_worker *w)
{
    table_worker_end_scan(w);
    table_worker_set_state(w, WORKER_HALT_APPENDED);
}

void table_worker_forget_halt(struct table_worker *w)
{
    free(TAKE(w->halt_reason));
    w->halt_is_final = false;
}

void table_worker_start_appended(struct table_worker *w)
{
    table_worker_forget_halt(w); /* its record is committed: no abort takes it back */
    table_worker_set_state(w, WORKER_START_APPENDED);
}

/* Under lock. */
static void halt(struct table_worker *w, enum ledger_phase phase, const char *reason,
                 bool is_final)
{
    if (w->halt_reason || w->state == WORKER_HALTED || w->state == WORKER_START_APPENDED)
        return;
    w->halt_reason = xstrdup(reason);
    w->halt_phase = phase;
    w->halt_is_final = is_final;
    step_wake(w->p->pool, &w->control);
}

void table_worker_halt(struct table_worker *w, enum ledger_phase phase, const char *reason)
{
    AUTO_LOCK(&w->lock);
    halt(w, phase, reason, false);
}

void table_worker_halt_locked(struct table_worker *w, enum ledger_phase phase,
                              const char *reason)
{
    halt(w, phase, reason, false);
}

bool table_worker_renews(const struct table_worker *w)
{
    const struct ledger_table *t = &w->appended.now;

    return t->phase == PHASE_GAP && start_decision_renews(t, w->p->renews_gaps);
}

void table_worker_doubt(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    w->look.wants_table = true;
    step_wake(w->p->pool, &w->look.step);
}

/* ---- what keeps it from going on ---- */

void table_worker_trouble(struct table_worker *w, const char *what, const struct error *err)
{
    int64_t now = clock_mono_ms();
    bool logs;

    pthread_mutex_lock(&w->lock);
    if (w->trouble_ms == 0)
        w->trouble_ms = now;
    logs = w->logged_ms == 0 || now - w->logged_ms > LOG_AGAIN_MS;
    if (logs)
        w->logged_ms = now;
    snprintf(w->trouble, sizeof(w->trouble), "%s: %s", what, err->message);
    health_say(w->health, w->trouble);
    pthread_mutex_unlock(&w->lock);
    if (logs)
        log_warn("table makes no progress", "table=%s what=%s reason=%s", w->table, what,
                 err->message);
    else
        log_debug("table makes no progress", "table=%s what=%s reason=%s", w->table, what,
                  err->message);
}

/* Under lock. */
static void trouble_is_over(struct table_worker *w)
{
    if (w->trouble_ms == 0)
        return;
    w->trouble_ms = 0;
    w->logged_ms = 0;
    w->trouble[0] = '\0';
    health_say(w->health, "");
}

void table_worker_source_is_well(struct table_worker *w)
{
    if (!w->held && w->scan_again_ms == 0 && w->aborts == 0)
        trouble_is_over(w);
}

bool table_worker_stuck(struct table_worker *w, int64_t for_ms, char *reason, size_t size)
{
    AUTO_LOCK(&w->lock);
    if (w->trouble_ms == 0 || clock_mono_ms() - w->trouble_ms < for_ms)
        return false;
    snprintf(reason, size, "%s", w->trouble);
    return true;
}

/* ---- told by the writer, under its exclusive gate ---- */

static bool a_segment_is_dirty(const struct table_state *state)
{
    for (int64_t i = 0; i < state->segment_count; i++)
        if (state->segments[i].dirty)
            return true;
    return false;
}

/* Under lock. What was found to be wrong while a request halted the table is found again. */
static void record_committed(struct table_worker *w)
{
    w->adoption_committed = true;
    w->begin_delivered = w->begin_offsets != NULL;
    if (w->state == WORKER_HALT_APPENDED) {
        table_worker_forget_halt(w);
        table_worker_set_state(w, WORKER_HALTED);
    } else if (w->state == WORKER_START_APPENDED) {
        table_worker_set_state(w, WORKER_STARTING);
    }
    step_wake(w->p->pool, &w->control);
    step_wake(w->p->pool, &w->requests.step); /* handled requests make room */
}

static void on_committed(void *arg)
{
    struct table_worker *w = arg;
    bool record, segment;

    poison_committed(w->poison, bytes_of(w->topic));
    AUTO_LOCK(&w->lock);
    record = w->appended.dirty;
    segment = a_segment_is_dirty(&w->appended);
    if (!table_state_committed(&w->appended, clock_mono_ms(), w->reader_free))
        return;
    w->aborts = 0;
    if (segment) {
        w->scan_again_ms = 0;
        w->scan_pauses = 0;
    }
    if (w->scan_again_ms == 0)
        trouble_is_over(w);
    if (record)
        record_committed(w);
}

/* Under lock. One abort is gone on from at once; what is aborted again and again (a topic that
 * takes nothing) must not read the source at full speed for nothing. */
static int64_t pause_after_abort(struct table_worker *w)
{
    int64_t pause = 0;

    w->aborts_ever++;
    if (++w->aborts > 1)
        pause = MIN((int64_t)ABORT_PAUSE_MS << MIN(w->aborts, 8), ABORT_PAUSE_LONGEST_MS);
    w->resume_ms = clock_mono_ms() + pause;
    return pause;
}

/* Under lock. */
static void go_back(struct table_worker *w)
{
    w->scan_confirmed = false; /* pages may be asked for again */
    if (table_state_aborted(&w->appended, w->reader_free)) {
        free(TAKE(w->segments));
        w->segment_count = 0;
        table_worker_set_state(w, WORKER_STARTING);
    } else if (w->state == WORKER_HALT_APPENDED) {
        table_worker_set_state(w, WORKER_RUNNING);
    } else if (w->state == WORKER_START_APPENDED) {
        table_worker_set_state(w, WORKER_HALTED);
    } else if (w->state == WORKER_HALTED && w->halt_reason &&
               w->appended.now.phase != w->halt_phase) {
        table_worker_set_state(w, WORKER_HALTING); /* it is written again */
    }
}

static void on_aborted(void *arg)
{
    struct table_worker *w = arg;
    int64_t pause;

    poison_aborted(w->poison, bytes_of(w->topic));
    pthread_mutex_lock(&w->lock);
    pause = pause_after_abort(w);
    if (!MUTATED(epoch))
        go_back(w);
    /* Behind the positions: who takes a ticket and then reads a position has a stale ticket, or
     * a position that is back. */
    barrier_abort(w->barrier);
    pthread_mutex_unlock(&w->lock);
    step_queue_wake(w->p->pool, &w->behind_pages);
    if (!atomic_load(&w->stopping))
        table_worker_schedule(w, &w->control, pause);
    if (pause == 0)
        step_wake(w->p->pool, &w->control);
    step_wake(w->p->pool, &w->look.step);     /* the end of a scan is confirmed anew */
    step_wake(w->p->pool, &w->requests.step); /* a handled request is the next one again */
}

static void on_topic_failed(void *arg, const char *topic, const char *reason)
{
    struct table_worker *w = arg;
    AUTO(free_charp) char *text = NULL;

    if (strcmp(topic, w->topic) != 0)
        return;
    text = xasprintf("topic %s: %s", topic, reason);
    AUTO_LOCK(&w->lock);
    halt(w, PHASE_FAILED, text, true);
}

/* The writer has logged it. */
static void on_held(void *arg, const char *topic, const char *reason)
{
    struct table_worker *w = arg;

    AUTO_LOCK(&w->lock);
    w->held = true;
    if (w->trouble_ms == 0)
        w->trouble_ms = clock_mono_ms();
    snprintf(w->trouble, sizeof(w->trouble), "topic %s: %s", topic, reason);
    health_say(w->health, w->trouble);
}

static void on_free_again(void *arg)
{
    struct table_worker *w = arg;

    AUTO_LOCK(&w->lock);
    w->held = false;
    doubt_clear(&w->topic_doubt);
}

static void on_log_lost(void *arg, int32_t partition, int64_t offset, int64_t before)
{
    struct table_worker *w = arg;
    AUTO(free_charp)
    char *why = xasprintf(START_LOST_LOG "was made anew: partition %" PRId32
                                         " gave offset %" PRId64 " after %" PRId64,
                          partition, offset, before);

    table_worker_halt(w, PHASE_GAP, why);
}

void table_worker_member_init(struct table_worker *w)
{
    w->member = (struct topic_writer_member){.committed = on_committed,
                                             .aborted = on_aborted,
                                             .topic_failed = on_topic_failed,
                                             .held = on_held,
                                             .free_again = on_free_again,
                                             .log_lost = on_log_lost,
                                             .table = w->table,
                                             .topic = w->topic,
                                             .arg = w};
}

/* ---- how far it is ---- */

/* Under lock. */
static enum progress_state progress_state_of(const struct table_worker *w)
{
    const struct ledger_table *t = &w->appended.now;

    if (t->generation > 0 && t->phase == PHASE_SNAPSHOT && w->state == WORKER_RUNNING)
        return w->scan_slot ? PROGRESS_RUNS : PROGRESS_WAITS;
    return t->phase == PHASE_TAIL ? PROGRESS_OVER : PROGRESS_STANDS;
}

/* The service counts the items of a table every six hours: a new one has none so far. */
void table_worker_work(struct table_worker *w, struct progress_work *ret)
{
    const struct ledger_table *t = &w->appended.now;

    *ret = (struct progress_work){.table = w->table, .what = "rows", .did = "copied"};
    AUTO_LOCK(&w->lock);
    for (int64_t i = 0; i < w->appended.segment_count; i++)
        ret->done += w->appended.segments[i].now.rows;
    ret->state = progress_state_of(w);
    if (ret->state == PROGRESS_RUNS || ret->state == PROGRESS_WAITS)
        ret->left = t->item_count > 0 ? MAX(t->item_count - ret->done, 0) : PROGRESS_NOT_KNOWN;
}

bool table_worker_is_over(struct table_worker *w)
{
    const struct table_state *state = &w->appended;

    AUTO_LOCK(&w->lock);
    return (w->state == WORKER_HALTED && !table_worker_renews(w)) ||
           (w->p->mode == SYNC_FULL && state->committed.finished_ms > 0 &&
            state->committed.phase == PHASE_TAIL &&
            state->committed.generation == state->now.generation && w->adoption_committed &&
            state->committed.begin_offsets && !state->dirty && !state->record_due);
}

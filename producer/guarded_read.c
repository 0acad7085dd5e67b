#include "producer/guarded_read.h"

#include "common/base/clock.h"

#define EXPECTED_LEAST 65536
#define BEHIND_PAGE_MS 1000 /* who waits for a page is woken */

static bool is_page(const struct guarded_read *r)
{
    return r->use == THROTTLE_SCAN;
}

/* ---- asking ---- */

static int64_t reserve(struct guarded_read *r)
{
    if (!producer_reserve(r->w->p, r->use, r->expected, r->step))
        return ROOM_MS;
    r->held = r->expected;
    r->reserved = true;
    return GUARDED_READ_ON;
}

static int64_t wait_for_rate(struct guarded_read *r)
{
    struct throttle *t = r->w->p->throttle;
    int64_t now = clock_mono_ms();
    int64_t wait = is_page(r) ? throttle_scan_wait_ms(t, now) : throttle_stream_wait_ms(t, now);

    return wait > 0 ? wait : GUARDED_READ_ON;
}

static int64_t wait_for_capacity(struct guarded_read *r)
{
    return r->calls->pace ? r->calls->pace(r->arg) : GUARDED_READ_ON;
}

static void take_ticket(struct guarded_read *r)
{
    struct barrier *b = r->w->barrier;

    r->ticket = is_page(r) ? barrier_page_asked(b) : barrier_change_asked(b);
    r->asked = true;
}

static void settle(struct guarded_read *r)
{
    size_t actual = r->answer.body.cap;

    if (!is_page(r))
        barrier_change_received(r->w->barrier, &r->ticket);
    throttle_settle(r->w->p->throttle, r->use, r->held, actual);
    r->held = actual;
    r->expected = MAX(actual, EXPECTED_LEAST);
    r->arrived = true;
}

static int64_t receive(struct guarded_read *r, struct append_context *a)
{
    int64_t next = r->calls->received(r->arg, a);

    if (next != GUARDED_READ_ON)
        r->arrived = false;
    return next;
}

static int64_t ask(struct guarded_read *r, struct append_context *a)
{
    int64_t next = r->calls->ready(r->arg, a);

    if (next == GUARDED_READ_ON)
        next = reserve(r);
    if (next == GUARDED_READ_ON)
        next = wait_for_rate(r);
    if (next == GUARDED_READ_ON)
        next = wait_for_capacity(r);
    if (next != GUARDED_READ_ON)
        return next;
    take_ticket(r);
    next = r->calls->position(r->arg, r->ticket);
    if (next == GUARDED_READ_ON)
        next = r->calls->request(r->arg, a, &r->answer);
    if (next != GUARDED_READ_ON)
        return next;
    settle(r);
    return receive(r, a);
}

/* ---- appending ---- */

static enum barrier_verdict verdict(const struct guarded_read *r)
{
    struct barrier *b = r->w->barrier;

    return is_page(r) ? barrier_page_verdict(b, r->ticket)
                      : barrier_change_verdict(b, r->ticket);
}

/* What could not be appended anyway is not kept: others wait for its bytes and its thread. */
static int64_t drop_in_vain(struct guarded_read *r)
{
    int64_t pause = table_worker_pause_ms(r->w);

    if (pause > 0)
        return pause;
    return verdict(r) == BARRIER_STALE ? 0 : GUARDED_READ_ON;
}

static bool is_behind_a_page(struct guarded_read *r)
{
    if (is_page(r) || verdict(r) != BARRIER_WAIT)
        return false;
    step_wait(r->w->p->pool, &r->w->behind_pages, r->step); /* before it looks again */
    return verdict(r) == BARRIER_WAIT;
}

static int64_t append_under_gate(struct guarded_read *r, struct append_context *a)
{
    if (verdict(r) == BARRIER_STALE)
        return 0;
    r->arrived = false;
    return r->calls->append(r->arg, a);
}

/* *ret_waits: the answer is kept for the next time. */
static int64_t append(struct guarded_read *r, struct append_context *a, bool *ret_waits)
{
    struct table_worker *w = r->w;
    int64_t next = drop_in_vain(r);
    struct error err;

    if (next != GUARDED_READ_ON)
        return next;
    *ret_waits = is_behind_a_page(r);
    if (*ret_waits)
        return BEHIND_PAGE_MS;
    if (topic_writer_gate_enter(w->writer, &w->member, r->step, &err) < 0) {
        *ret_waits = err.kind != ERR_FENCED;
        return *ret_waits ? TOPIC_WRITER_WAIT_MS : STEP_END;
    }
    next = append_under_gate(r, a);
    if (is_page(r))
        barrier_page_appended(w->barrier, r->ticket);
    topic_writer_gate_exit(w->writer);
    return next;
}

/* ---- the read ---- */

void guarded_read_end(struct guarded_read *r)
{
    struct table_worker *w = r->w;

    if (r->arrived)
        r->calls->dropped(r->arg);
    r->arrived = false;
    if (r->asked && is_page(r)) {
        barrier_page_dropped(w->barrier, r->ticket); /* nothing, when it was appended */
        step_queue_wake(w->p->pool, &w->behind_pages);
    }
    r->asked = false;
    if (r->reserved)
        throttle_return(w->p->throttle, r->use, r->held);
    r->reserved = false;
    http_answer_release(&r->answer);
}

int64_t guarded_read_step(struct guarded_read *r, struct append_context *a)
{
    int64_t next = r->arrived ? GUARDED_READ_ON : ask(r, a);
    bool waits = false;

    if (next == GUARDED_READ_ON)
        next = append(r, a, &waits);
    if (!waits)
        guarded_read_end(r);
    return next;
}

#include "producer/guarded_read.h"

#include "common/base/clock.h"

#define EXPECTED_LEAST 65536
#define BEHIND_PAGE_MS 1000 /* who waits for a page is woken */

static bool is_page(const struct guarded_read *read)
{
    return read->use == THROTTLE_SCAN;
}

/* ---- asking ---- */

static int64_t is_ready(struct guarded_read *read, struct append_context *a)
{
    return read->calls->ready ? read->calls->ready(read->arg, a) : GUARDED_READ_ON;
}

static int64_t reserve(struct guarded_read *read)
{
    if (!producer_reserve(read->w->p, read->use, read->expected, read->step))
        return ROOM_MS;
    read->held = read->expected;
    read->reserved = true;
    return GUARDED_READ_ON;
}

static int64_t wait_for_rate(struct guarded_read *read)
{
    struct throttle *throttle = read->w->p->throttle;
    int64_t now = clock_mono_ms();
    int64_t wait = is_page(read) ? throttle_scan_wait_ms(throttle, now)
                                 : throttle_stream_wait_ms(throttle, now);

    return wait > 0 ? wait : GUARDED_READ_ON;
}

static int64_t wait_for_capacity(struct guarded_read *read)
{
    return read->calls->pace ? read->calls->pace(read->arg) : GUARDED_READ_ON;
}

static void take_ticket(struct guarded_read *read)
{
    struct barrier *b = read->w->barrier;

    read->ticket = is_page(read) ? barrier_page_asked(b) : barrier_change_asked(b);
    read->asked = true;
}

static void settle(struct guarded_read *read)
{
    size_t actual = read->answer.body.cap;

    if (!is_page(read))
        barrier_change_received(read->w->barrier, &read->ticket);
    throttle_settle(read->w->p->throttle, read->use, read->held, actual);
    read->held = actual;
    read->expected = MAX(actual, EXPECTED_LEAST);
    read->arrived = true;
}

static int64_t receive(struct guarded_read *read, struct append_context *a)
{
    int64_t next = read->calls->received(read->arg, a);

    if (next != GUARDED_READ_ON)
        read->arrived = false;
    return next;
}

static int64_t ask(struct guarded_read *read, struct append_context *a)
{
    int64_t next = is_ready(read, a);

    if (next == GUARDED_READ_ON)
        next = reserve(read);
    if (next == GUARDED_READ_ON)
        next = wait_for_rate(read);
    if (next == GUARDED_READ_ON)
        next = wait_for_capacity(read);
    if (next != GUARDED_READ_ON)
        return next;
    take_ticket(read);
    next = read->calls->position(read->arg, read->ticket);
    if (next == GUARDED_READ_ON)
        next = read->calls->request(read->arg, a, &read->answer);
    if (next != GUARDED_READ_ON)
        return next;
    settle(read);
    return receive(read, a);
}

/* ---- appending ---- */

static enum barrier_verdict verdict(const struct guarded_read *read)
{
    struct barrier *b = read->w->barrier;

    return is_page(read) ? barrier_page_verdict(b, read->ticket)
                         : barrier_change_verdict(b, read->ticket);
}

/* What could not be appended anyway is not kept: others wait for its bytes and its thread. */
static int64_t drop_in_vain(struct guarded_read *read)
{
    int64_t pause = table_worker_pause_ms(read->w);

    if (pause > 0)
        return pause;
    return verdict(read) == BARRIER_STALE ? 0 : GUARDED_READ_ON;
}

static bool is_behind_a_page(struct guarded_read *read)
{
    if (is_page(read) || verdict(read) != BARRIER_WAIT)
        return false;
    step_wait(read->w->p->pool, &read->w->behind_pages, read->step); /* before it looks again */
    return verdict(read) == BARRIER_WAIT;
}

static int64_t append_under_gate(struct guarded_read *read, struct append_context *a)
{
    if (verdict(read) == BARRIER_STALE)
        return 0;
    read->arrived = false;
    return read->calls->append(read->arg, a);
}

/* *ret_waits: the answer is kept for the next time. */
static int64_t append(struct guarded_read *read, struct append_context *a, bool *ret_waits)
{
    struct table_worker *w = read->w;
    int64_t next = drop_in_vain(read);
    struct error err;

    if (next != GUARDED_READ_ON)
        return next;
    *ret_waits = is_behind_a_page(read);
    if (*ret_waits)
        return BEHIND_PAGE_MS;
    if (topic_writer_gate_enter(w->writer, &w->member, read->step, &err) < 0) {
        *ret_waits = err.kind != ERR_FENCED;
        return *ret_waits ? TOPIC_WRITER_WAIT_MS : STEP_END;
    }
    next = append_under_gate(read, a);
    if (is_page(read))
        barrier_page_appended(w->barrier, read->ticket);
    topic_writer_gate_exit(w->writer);
    return next;
}

/* ---- the read ---- */

void guarded_read_end(struct guarded_read *read)
{
    struct table_worker *w = read->w;

    if (read->arrived)
        read->calls->dropped(read->arg);
    read->arrived = false;
    if (read->asked && is_page(read)) {
        barrier_page_dropped(w->barrier, read->ticket); /* nothing, when it was appended */
        step_queue_wake(w->p->pool, &w->behind_pages);
    }
    read->asked = false;
    if (read->reserved)
        throttle_return(w->p->throttle, read->use, read->held);
    read->reserved = false;
    http_answer_release(&read->answer);
}

int64_t guarded_read_step(struct guarded_read *read, struct append_context *a)
{
    int64_t next = read->arrived ? GUARDED_READ_ON : ask(read, a);
    bool waits = false;

    if (next == GUARDED_READ_ON)
        next = append(read, a, &waits);
    if (!waits)
        guarded_read_end(read);
    return next;
}

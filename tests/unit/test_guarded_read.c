/* tests/unit/test_guarded_read.c - the order of a read: what is asked for when, what is kept,
 * what is given back. The topic writer's gate is made of what each test says.
 *
 *   ready, reserve, rate, pace | ticket | position, request | gate, verdict, append | release
 *                              '------- the ticket is out: changes wait -------------'
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/guarded_read.h"

#define MEMORY 1000
#define PAGE 600 /* two don't fit */

static struct {
    enum error_kind closed; /* what entering gives; 0: it is open */
    bool inside;
    int64_t held_ms; /* for so long nothing of the table may be appended */
} gate;

int topic_writer_gate_enter(struct topic_writer *writer, struct topic_writer_member *m,
                            struct step *step, struct error *err)
{
    (void)writer;
    (void)m;
    (void)step;
    if (gate.closed)
        return error_set(err, gate.closed, "the gate is closed");
    assert_false(gate.inside);
    gate.inside = true;
    return 0;
}

void topic_writer_gate_exit(struct topic_writer *writer)
{
    (void)writer;
    assert_true(gate.inside);
    gate.inside = false;
}

int64_t topic_writer_gate_wait_ms(struct topic_writer *writer, struct topic_writer_member *m)
{
    (void)writer;
    (void)m;
    return gate.held_ms;
}

void topic_writer_request_abort(struct topic_writer *writer, const char *why)
{
    (void)writer;
    fail_msg("%s", why);
}

bool producer_reserve(struct producer *p, enum throttle_use use, size_t bytes,
                      struct step *step)
{
    (void)step;
    return throttle_reserve(p->throttle, use, bytes);
}

/* ---- a read that notes in which order it is called ---- */

struct bench {
    struct producer p;
    struct table_worker w;
    struct append_context a;
    struct step step;
    struct guarded_read read;
    char calls[128];
    int64_t request_fails_ms; /* 0: it is answered */
    int64_t received;
    bool abort_while_asked;
    bool has_capacity;
};

static void note(struct bench *b, const char *call)
{
    size_t len = strlen(b->calls);

    snprintf(b->calls + len, sizeof(b->calls) - len, "%s%s", len ? " " : "", call);
}

/* A change that is received now: may it be appended? */
static bool changes_may_pass(struct bench *b)
{
    struct barrier_ticket change = barrier_change_asked(b->w.barrier);

    barrier_change_received(b->w.barrier, &change);
    return barrier_change_verdict(b->w.barrier, change) == BARRIER_APPEND;
}

static int64_t ready(void *arg, struct append_context *a)
{
    struct bench *b = arg;

    (void)a;
    note(b, "ready");
    b->read.expected = PAGE;
    return GUARDED_READ_ON;
}

static int64_t pace(void *arg)
{
    struct bench *b = arg;

    note(b, "pace");
    assert_true(changes_may_pass(b)); /* no ticket is out before the last wait */
    return b->has_capacity ? GUARDED_READ_ON : 30;
}

static int64_t position(void *arg, struct barrier_ticket ticket)
{
    struct bench *b = arg;

    note(b, "position");
    if (b->read.use == THROTTLE_SCAN) {
        assert_int_equal(barrier_page_verdict(b->w.barrier, ticket), BARRIER_APPEND);
        assert_false(changes_may_pass(b));
    }
    assert_false(throttle_reserve(b->p.throttle, b->read.use, MEMORY));
    return GUARDED_READ_ON;
}

static int64_t request(void *arg, struct append_context *a, struct http_answer *ret)
{
    struct bench *b = arg;

    (void)a;
    note(b, "request");
    assert_false(gate.inside);
    if (b->abort_while_asked)
        barrier_abort(b->w.barrier);
    if (b->request_fails_ms)
        return b->request_fails_ms;
    buf_init(&ret->body, PAGE);
    buf_lit(&ret->body, "{}");
    return GUARDED_READ_ON;
}

static int64_t received(void *arg, struct append_context *a)
{
    struct bench *b = arg;

    (void)a;
    note(b, "received");
    return b->received;
}

static int64_t append(void *arg, struct append_context *a)
{
    struct bench *b = arg;

    assert_ptr_equal(a, &b->a);
    note(b, "append");
    assert_true(gate.inside);
    if (b->read.use == THROTTLE_SCAN)
        assert_false(changes_may_pass(b));
    return 7;
}

static void dropped(void *arg)
{
    note(arg, "dropped");
}

static void bench_begin(struct bench *b, enum throttle_use use)
{
    static const struct guarded_read_calls calls = {
        .ready = ready,
        .pace = pace,
        .position = position,
        .request = request,
        .received = received,
        .append = append,
        .dropped = dropped,
    };

    memset(&gate, 0, sizeof(gate));
    *b = (struct bench){.p = {.throttle = throttle_new(MEMORY, 4, 0, 0, 1),
                              .pool = step_pool_new(0, (struct step_pool_hooks){0})},
                        .received = GUARDED_READ_ON,
                        .has_capacity = true};
    b->w.p = &b->p;
    b->w.barrier = barrier_new();
    pthread_mutex_init(&b->w.lock, NULL);
    b->read = (struct guarded_read){
        .w = &b->w, .step = &b->step, .calls = &calls, .arg = b, .use = use};
}

/* Nothing is held: neither bytes nor a ticket. */
static void assert_nothing_in_hand(struct bench *b)
{
    assert_false(gate.inside);
    assert_true(changes_may_pass(b));
    assert_true(throttle_reserve(b->p.throttle, b->read.use, PAGE));
    throttle_return(b->p.throttle, b->read.use, PAGE);
    assert_null(b->read.answer.body.p);
}

static void bench_end(struct bench *b)
{
    guarded_read_end(&b->read);
    assert_nothing_in_hand(b);
    pthread_mutex_destroy(&b->w.lock);
    barrier_free(b->w.barrier);
    step_pool_free(b->p.pool);
    throttle_free(b->p.throttle);
}

static void a_page_is_read_in_one_order_and_everything_is_given_back(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    assert_int_equal(guarded_read_step(&b.read, &b.a), 7);
    assert_string_equal(b.calls, "ready pace position request received append");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void a_page_that_waits_for_capacity_has_taken_no_ticket(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    b.has_capacity = false;
    assert_int_equal(guarded_read_step(&b.read, &b.a), 30);
    assert_string_equal(b.calls, "ready pace");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void a_request_that_fails_gives_its_ticket_and_its_bytes_back(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    b.request_fails_ms = 70;
    assert_int_equal(guarded_read_step(&b.read, &b.a), 70);
    assert_string_equal(b.calls, "ready pace position request");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void an_answer_from_before_an_abort_is_dropped(void **state)
{
    struct bench b;

    (void)state;
    for (int use = 0; use < THROTTLE_USES; use++) {
        bench_begin(&b, (enum throttle_use)use);
        b.abort_while_asked = true;
        assert_int_equal(guarded_read_step(&b.read, &b.a), 0);
        assert_string_equal(b.calls, "ready pace position request received dropped");
        assert_nothing_in_hand(&b);
        bench_end(&b);
    }
}

static void an_abort_while_the_gate_is_waited_for_makes_the_answer_stale(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    gate.closed = ERR_RETRY;
    assert_int_equal(guarded_read_step(&b.read, &b.a), TOPIC_WRITER_WAIT_MS);
    barrier_abort(b.w.barrier);
    gate.closed = 0;
    b.calls[0] = '\0';
    assert_int_equal(guarded_read_step(&b.read, &b.a), 0);
    assert_string_equal(b.calls, "dropped");
    bench_end(&b);
}

static void a_page_that_waits_for_the_gate_is_not_asked_for_again(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    gate.closed = ERR_RETRY;
    for (int i = 0; i < 3; i++)
        assert_int_equal(guarded_read_step(&b.read, &b.a), TOPIC_WRITER_WAIT_MS);
    assert_string_equal(b.calls, "ready pace position request received");
    assert_false(changes_may_pass(&b));
    gate.closed = 0;
    assert_int_equal(guarded_read_step(&b.read, &b.a), 7);
    assert_string_equal(b.calls, "ready pace position request received append");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void what_can_not_be_appended_for_a_while_is_not_kept(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    gate.held_ms = 500;
    assert_int_equal(guarded_read_step(&b.read, &b.a), 500);
    assert_string_equal(b.calls, "ready pace position request received dropped");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void a_fenced_writer_ends_the_step(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    gate.closed = ERR_FENCED;
    assert_int_equal(guarded_read_step(&b.read, &b.a), STEP_END);
    assert_string_equal(b.calls, "ready pace position request received dropped");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void changes_wait_for_every_page_that_was_asked_for_before(void **state)
{
    struct barrier_ticket page;
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_STREAM);
    b.read.calls = &(struct guarded_read_calls){.ready = ready,
                                                .position = position,
                                                .request = request,
                                                .received = received,
                                                .append = append,
                                                .dropped = dropped};
    page = barrier_page_asked(b.w.barrier);
    assert_true(guarded_read_step(&b.read, &b.a) > 0);
    assert_string_equal(b.calls, "ready position request received");
    barrier_page_appended(b.w.barrier, page);
    assert_int_equal(guarded_read_step(&b.read, &b.a), 7);
    assert_string_equal(b.calls, "ready position request received append");
    bench_end(&b);
}

static void an_answer_with_nothing_to_append_needs_no_gate(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_STREAM);
    gate.closed = ERR_RETRY;
    b.received = 90;
    assert_int_equal(guarded_read_step(&b.read, &b.a), 90);
    assert_string_equal(b.calls, "ready pace position request received");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

static void what_is_kept_is_given_back_when_the_read_ends(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, THROTTLE_SCAN);
    gate.closed = ERR_RETRY;
    guarded_read_step(&b.read, &b.a);
    b.calls[0] = '\0';
    guarded_read_end(&b.read);
    guarded_read_end(&b.read); /* once */
    assert_string_equal(b.calls, "dropped");
    assert_nothing_in_hand(&b);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_read_in_one_order_and_everything_is_given_back),
        cmocka_unit_test(a_page_that_waits_for_capacity_has_taken_no_ticket),
        cmocka_unit_test(a_request_that_fails_gives_its_ticket_and_its_bytes_back),
        cmocka_unit_test(an_answer_from_before_an_abort_is_dropped),
        cmocka_unit_test(an_abort_while_the_gate_is_waited_for_makes_the_answer_stale),
        cmocka_unit_test(a_page_that_waits_for_the_gate_is_not_asked_for_again),
        cmocka_unit_test(what_can_not_be_appended_for_a_while_is_not_kept),
        cmocka_unit_test(a_fenced_writer_ends_the_step),
        cmocka_unit_test(changes_wait_for_every_page_that_was_asked_for_before),
        cmocka_unit_test(an_answer_with_nothing_to_append_needs_no_gate),
        cmocka_unit_test(what_is_kept_is_given_back_when_the_read_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

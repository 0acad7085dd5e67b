/* tests/unit/test_barrier.c - the barrier over every interleaving of a small case, aborts
 * included.
 *
 * The case: one item, written twice (the second write may be its delete) while one page that
 * holds it is asked for, read at some moment and appended, once failing in between, and a
 * stream reader polls. Each node of the search replays its calls on a fresh barrier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/check.h"
#include "producer/barrier.h"

enum {
    WRITES = 2,
    MAX_LOG = 8,
    MAX_CALLS = 32,
    MAX_FAILS = 1,
    MAX_ABORTS = 1,
    MAX_POLLS = 3
};

enum call {
    CALL_PAGE_ASKED,
    CALL_PAGE_APPENDED,
    CALL_PAGE_DROPPED,
    CALL_CHANGE_ASKED,
    CALL_CHANGE_RECEIVED,
    CALL_ABORT
};

enum page_state {
    PAGE_IDLE,
    PAGE_ASKED,
    PAGE_READ,
    PAGE_DONE
};
enum poll_state {
    POLL_IDLE,
    POLL_ASKED,
    POLL_HOLDS
};

struct record {
    bool row;
    int version; /* 0: as it was before; WRITES with deletes: gone (no row shows it) */
};

struct model {
    bool deletes;
    int max_fails, max_aborts;
    int written;
    enum page_state page;
    bool page_has_item;
    int page_version;
    enum poll_state poll;
    int poll_from, poll_to; /* versions received */
    int position;           /* last version appended */
    struct record log[MAX_LOG];
    int log_len;
    struct { /* at the last commit */
        enum page_state page;
        int position;
        int log_len;
    } committed;
    int fails, aborts, polls;
    enum call calls[MAX_CALLS];
    int call_count;
};

static long nodes, ends;

struct replayed {
    struct barrier *b;
    struct barrier_ticket page, change;
};

static struct replayed replay(const struct model *m)
{
    struct replayed r = {.b = barrier_new()};

    for (int i = 0; i < m->call_count; i++) {
        switch (m->calls[i]) {
        case CALL_PAGE_ASKED:
            r.page = barrier_page_asked(r.b);
            break;
        case CALL_PAGE_APPENDED:
            barrier_page_appended(r.b, r.page);
            break;
        case CALL_PAGE_DROPPED:
            barrier_page_dropped(r.b, r.page);
            break;
        case CALL_CHANGE_ASKED:
            r.change = barrier_change_asked(r.b);
            break;
        case CALL_CHANGE_RECEIVED:
            barrier_change_received(r.b, &r.change);
            break;
        case CALL_ABORT:
            barrier_abort(r.b);
            break;
        }
    }
    return r;
}

static void call(struct model *m, enum call c)
{
    CHECK(m->call_count < MAX_CALLS);
    m->calls[m->call_count++] = c;
}

static void check_log(const struct model *m)
{
    int newest_change = 0;

    for (int i = 0; i < m->log_len; i++) {
        if (m->log[i].row) {
            assert_true(m->log[i].version >=
                        newest_change); /* no row older than a change before it */
        } else {
            assert_int_equal(m->log[i].version,
                             newest_change + 1); /* every change once, in order */
            newest_change = m->log[i].version;
        }
    }
}

static void check_end(const struct model *m)
{
    ends++;
    assert_int_equal(m->position, WRITES);
    assert_int_equal(m->log[m->log_len - 1].version,
                     WRITES); /* the last record is the source's value */
}

static void search(const struct model *m);

static void do_write(struct model m)
{
    m.written++;
    search(&m);
}

static void do_page_ask(struct model m)
{
    call(&m, CALL_PAGE_ASKED);
    m.page = PAGE_ASKED;
    search(&m);
}

static void do_page_read(struct model m)
{
    m.page = PAGE_READ;
    m.page_version = m.written;
    m.page_has_item = !(m.deletes && m.written == WRITES);
    search(&m);
}

static void do_page_fail(struct model m)
{
    call(&m, CALL_PAGE_DROPPED);
    m.fails++;
    m.page = PAGE_IDLE;
    search(&m);
}

static void do_page_append(struct model m)
{
    struct replayed r = replay(&m);
    enum barrier_verdict v = barrier_page_verdict(r.b, r.page);

    barrier_free(r.b);
    if (v == BARRIER_STALE) {
        call(&m, CALL_PAGE_DROPPED);
        m.page = PAGE_IDLE;
    } else {
        if (m.page_has_item)
            m.log[m.log_len++] = (struct record){true, m.page_version};
        call(&m, CALL_PAGE_APPENDED);
        m.page = PAGE_DONE;
    }
    check_log(&m);
    search(&m);
}

static void do_poll_ask(struct model m)
{
    call(&m, CALL_CHANGE_ASKED);
    m.poll = POLL_ASKED;
    m.poll_from = m.position;
    m.polls++;
    search(&m);
}

static void do_poll_receive(struct model m)
{
    call(&m, CALL_CHANGE_RECEIVED);
    m.poll_to = m.written;
    m.poll = m.poll_to > m.poll_from ? POLL_HOLDS : POLL_IDLE;
    search(&m);
}

static void do_poll_append(struct model m)
{
    struct replayed r = replay(&m);
    enum barrier_verdict v = barrier_change_verdict(r.b, r.change);

    barrier_free(r.b);
    if (v == BARRIER_WAIT)
        return;
    m.poll = POLL_IDLE;
    if (v == BARRIER_APPEND) {
        for (int version = m.poll_from + 1; version <= m.poll_to; version++)
            m.log[m.log_len++] = (struct record){false, version};
        m.position = m.poll_to;
    }
    check_log(&m);
    search(&m);
}

static void do_commit(struct model m)
{
    m.committed.page = m.page == PAGE_DONE ? PAGE_DONE : PAGE_IDLE;
    m.committed.position = m.position;
    m.committed.log_len = m.log_len;
    search(&m);
}

/* What was appended is gone; requests under way stay under way, and their answers must be
 * dropped. */
static void do_abort(struct model m)
{
    call(&m, CALL_ABORT);
    m.aborts++;
    m.log_len = m.committed.log_len;
    m.position = m.committed.position;
    if (m.page == PAGE_DONE)
        m.page = m.committed.page;
    search(&m);
}

static void search(const struct model *m)
{
    nodes++;
    if (m->page == PAGE_DONE && m->position == WRITES && m->poll == POLL_IDLE) {
        check_end(m);
        if (m->aborts == m->max_aborts || m->committed.log_len == m->log_len)
            return;
    }
    if (m->written < WRITES)
        do_write(*m);
    if (m->page == PAGE_IDLE)
        do_page_ask(*m);
    if (m->page == PAGE_ASKED)
        do_page_read(*m);
    if (m->page == PAGE_READ)
        do_page_append(*m);
    if ((m->page == PAGE_READ || m->page == PAGE_ASKED) && m->fails < m->max_fails)
        do_page_fail(*m);
    if (m->poll == POLL_IDLE && m->polls < MAX_POLLS && m->written > m->position)
        do_poll_ask(*m);
    if (m->poll == POLL_ASKED)
        do_poll_receive(*m);
    if (m->poll == POLL_HOLDS)
        do_poll_append(*m);
    if (m->log_len > m->committed.log_len && m->aborts < m->max_aborts)
        do_commit(*m);
    if (m->log_len > m->committed.log_len && m->aborts < m->max_aborts)
        do_abort(*m);
}

static void every_interleaving_ends_with_the_sources_value(void **state)
{
    (void)state;
    for (int deletes = 0; deletes < 2; deletes++) {
        struct model fails = {.deletes = deletes, .max_fails = 2};
        struct model aborts = {.deletes = deletes, .max_aborts = 1};

        search(&fails);
        search(&aborts);
    }
    printf("%ld states, %ld ends\n", nodes, ends);
    assert_true(ends > 1000);
}

static void a_change_waits_for_the_page_asked_for_before_it(void **state)
{
    AUTO(barrier_freep) struct barrier *b = barrier_new();
    struct barrier_ticket page = barrier_page_asked(b), change = barrier_change_asked(b);

    (void)state;
    barrier_change_received(b, &change);
    assert_int_equal(barrier_change_verdict(b, change), BARRIER_WAIT);
    barrier_page_appended(b, page);
    assert_int_equal(barrier_change_verdict(b, change), BARRIER_APPEND);
}

static void a_page_asked_for_after_a_change_does_not_hold_it(void **state)
{
    AUTO(barrier_freep) struct barrier *b = barrier_new();
    struct barrier_ticket change = barrier_change_asked(b);

    (void)state;
    barrier_change_received(b, &change);
    barrier_page_asked(b);
    assert_int_equal(barrier_change_verdict(b, change), BARRIER_APPEND);
}

static void a_failed_page_lets_go_and_its_retry_holds_only_what_comes_after(void **state)
{
    AUTO(barrier_freep) struct barrier *b = barrier_new();
    struct barrier_ticket page = barrier_page_asked(b), change = barrier_change_asked(b);

    (void)state;
    barrier_change_received(b, &change);
    barrier_page_dropped(b, page);
    barrier_page_asked(b);
    assert_int_equal(barrier_change_verdict(b, change), BARRIER_APPEND);
}

static void an_abort_makes_every_answer_under_way_stale(void **state)
{
    AUTO(barrier_freep) struct barrier *b = barrier_new();
    struct barrier_ticket page = barrier_page_asked(b), change = barrier_change_asked(b);

    (void)state;
    barrier_abort(b);
    barrier_change_received(b,
                            &change); /* its answer came after the abort, its request before */
    assert_int_equal(barrier_page_verdict(b, page), BARRIER_STALE);
    assert_int_equal(barrier_change_verdict(b, change), BARRIER_STALE);
    change = barrier_change_asked(b);
    barrier_change_received(b, &change);
    assert_int_equal(barrier_change_verdict(b, change),
                     BARRIER_APPEND); /* the stale page holds nobody */
}

static void *hammer(void *arg)
{
    struct barrier *b = arg;

    for (int i = 0; i < 20000; i++) {
        struct barrier_ticket page = barrier_page_asked(b), change = barrier_change_asked(b);

        barrier_change_received(b, &change);
        CHECK(barrier_change_verdict(b, change) != BARRIER_APPEND); /* our own page is out */
        barrier_page_appended(b, page);
    }
    return NULL;
}

static void threads_share_a_barrier(void **state)
{
    AUTO(barrier_freep) struct barrier *b = barrier_new();
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, b) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_ends_with_the_sources_value),
        cmocka_unit_test(a_change_waits_for_the_page_asked_for_before_it),
        cmocka_unit_test(a_page_asked_for_after_a_change_does_not_hold_it),
        cmocka_unit_test(a_failed_page_lets_go_and_its_retry_holds_only_what_comes_after),
        cmocka_unit_test(an_abort_makes_every_answer_under_way_stale),
        cmocka_unit_test(threads_share_a_barrier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

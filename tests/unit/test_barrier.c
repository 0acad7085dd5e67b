/* tests/unit/test_barrier.c - the barrier over every interleaving of a small case, aborts
 * included.
 *
 * What it keeps, in time: a change waits for the pages asked for before it was received.
 *
 *   page A   asked -------------------------- appended
 *   change         asked ----- received . . WAIT . . . APPEND
 *   page B                               asked ------------------- holds only what comes later
 *   abort    whatever was asked for before it is STALE, and holds nobody
 *
 * The case: one item, written twice (the first write may make it, the second may be its delete)
 * while one page that holds it is asked for, read at some moment and appended, once failing in
 * between, the same of a repair (a page that says so when the item is absent), and a stream
 * reader polls. Each node of the search replays its calls on a fresh barrier.
 *
 *   page, repair:   IDLE --ask--> ASKED --read--> READ --append--> DONE
 *                    ^              |              |                |
 *                    |<--- failed --'              |                |
 *                    |<--- failed, or STALE -------'                |
 *                    '<--- an abort, when it was not committed -----'
 *
 *   poll:           IDLE --ask--> ASKED --receive--> HOLDS (also on WAIT)
 *                    ^              |                  |
 *                    |<- no change -'                  |
 *                    '<- appended, or STALE -----------'
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "producer/barrier.h"

enum {
    WRITES = 2,
    MAX_LOG = 10,
    MAX_CALLS = 40,
    MAX_POLLS = 3
};

enum reader { /* who reads the item's value */
    PAGE,
    REPAIR,
    READERS
};

enum call_kind {
    CALL_READER_ASKED,
    CALL_READER_APPENDED,
    CALL_READER_DROPPED,
    CALL_CHANGE_ASKED,
    CALL_CHANGE_RECEIVED,
    CALL_ABORT
};

struct call {
    enum call_kind kind;
    enum reader reader;
};

enum reader_state {
    READER_IDLE,
    READER_ASKED,
    READER_READ,
    READER_DONE /* or not there */
};

enum poll_state {
    POLL_IDLE,
    POLL_ASKED,
    POLL_HOLDS
};

struct record {
    bool row;    /* of a page, or what a repair says */
    int version; /* 0: as it was before */
};

struct model {
    bool creates, deletes;  /* version 0, the last version: absent */
    bool repair_has_ticket; /* as it must */
    int max_fails, max_aborts;
    int written;
    struct {
        enum reader_state state;
        int version;
    } readers[READERS];
    enum poll_state poll;
    int poll_from, poll_to; /* versions received */
    int position;           /* last version appended */
    struct record log[MAX_LOG];
    int log_len;
    struct { /* at the last commit */
        bool done[READERS];
        int position;
        int log_len;
    } committed;
    int fails, aborts, polls;
    struct call calls[MAX_CALLS];
    int call_count;
};

static long nodes, ends, wrong;

struct replayed {
    struct barrier *b;
    struct barrier_ticket readers[READERS], change;
};

static struct replayed replay(const struct model *m)
{
    struct replayed r = {.b = barrier_new()};

    for (int i = 0; i < m->call_count; i++) {
        struct barrier_ticket *ticket = &r.readers[m->calls[i].reader];

        switch (m->calls[i].kind) {
        case CALL_READER_ASKED:
            *ticket = barrier_page_asked(r.b);
            break;
        case CALL_READER_APPENDED:
            barrier_page_appended(r.b, *ticket);
            break;
        case CALL_READER_DROPPED:
            barrier_page_dropped(r.b, *ticket);
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

static void call(struct model *m, enum call_kind kind, enum reader reader)
{
    CHECK(m->call_count < MAX_CALLS);
    m->calls[m->call_count++] = (struct call){kind, reader};
}

static void append(struct model *m, bool row, int version)
{
    CHECK(m->log_len < MAX_LOG);
    m->log[m->log_len++] = (struct record){row, version};
}

static bool is_absent(const struct model *m, int version)
{
    return (m->creates && version == 0) || (m->deletes && version == WRITES);
}

/* No row is older than a change before it; every change stands there once, in order. */
static bool log_is_right(const struct model *m)
{
    int newest_change = 0;

    for (int i = 0; i < m->log_len; i++) {
        int version = m->log[i].version;

        if (m->log[i].row ? version < newest_change : version != newest_change + 1)
            return false;
        if (!m->log[i].row)
            newest_change = version;
    }
    return true;
}

/* The last record is the source's value. */
static void check_end(const struct model *m)
{
    ends++;
    wrong += m->position != WRITES || m->log[m->log_len - 1].version != WRITES;
}

static void search(const struct model *m);

static void search_on(const struct model *m)
{
    if (log_is_right(m))
        search(m);
    else
        wrong++;
}

static void do_write(struct model m)
{
    m.written++;
    search(&m);
}

static bool has_ticket(const struct model *m, enum reader r)
{
    return r != REPAIR || m->repair_has_ticket;
}

static void do_ask(struct model m, enum reader r)
{
    if (has_ticket(&m, r))
        call(&m, CALL_READER_ASKED, r);
    m.readers[r].state = READER_ASKED;
    search(&m);
}

static void do_read(struct model m, enum reader r)
{
    m.readers[r].state = READER_READ;
    m.readers[r].version = m.written;
    search(&m);
}

static void do_fail(struct model m, enum reader r)
{
    if (has_ticket(&m, r))
        call(&m, CALL_READER_DROPPED, r);
    m.fails++;
    m.readers[r].state = READER_IDLE;
    search(&m);
}

static enum barrier_verdict verdict_on(const struct model *m, enum reader r)
{
    struct replayed replayed = replay(m);
    enum barrier_verdict v = BARRIER_APPEND;

    if (has_ticket(m, r))
        v = barrier_page_verdict(replayed.b, replayed.readers[r]);
    barrier_free(replayed.b);
    return v;
}

static void do_append(struct model m, enum reader r)
{
    bool stale = verdict_on(&m, r) == BARRIER_STALE;

    m.readers[r].state = stale ? READER_IDLE : READER_DONE;
    if (!stale && (r == REPAIR || !is_absent(&m, m.readers[r].version)))
        append(&m, true, m.readers[r].version);
    if (has_ticket(&m, r))
        call(&m, stale ? CALL_READER_DROPPED : CALL_READER_APPENDED, r);
    search_on(&m);
}

static void do_poll_ask(struct model m)
{
    call(&m, CALL_CHANGE_ASKED, 0);
    m.poll = POLL_ASKED;
    m.poll_from = m.position;
    m.polls++;
    search(&m);
}

static void do_poll_receive(struct model m)
{
    call(&m, CALL_CHANGE_RECEIVED, 0);
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
            append(&m, false, version);
        m.position = m.poll_to;
    }
    search_on(&m);
}

static void do_commit(struct model m)
{
    for (enum reader r = 0; r < READERS; r++)
        m.committed.done[r] = m.readers[r].state == READER_DONE;
    m.committed.position = m.position;
    m.committed.log_len = m.log_len;
    search(&m);
}

/* What was appended is gone; requests under way stay under way, and their answers must be
 * dropped. */
static void do_abort(struct model m)
{
    call(&m, CALL_ABORT, 0);
    m.aborts++;
    m.log_len = m.committed.log_len;
    m.position = m.committed.position;
    for (enum reader r = 0; r < READERS; r++)
        if (m.readers[r].state == READER_DONE && !m.committed.done[r])
            m.readers[r].state = READER_IDLE;
    search(&m);
}

static void search_reader(const struct model *m, enum reader r)
{
    enum reader_state state = m->readers[r].state;

    if (state == READER_IDLE)
        do_ask(*m, r);
    if (state == READER_ASKED)
        do_read(*m, r);
    if (state == READER_READ)
        do_append(*m, r);
    if ((state == READER_READ || state == READER_ASKED) && m->fails < m->max_fails)
        do_fail(*m, r);
}

static bool is_over(const struct model *m)
{
    return m->readers[PAGE].state == READER_DONE && m->readers[REPAIR].state == READER_DONE &&
           m->position == WRITES && m->poll == POLL_IDLE;
}

static void search(const struct model *m)
{
    nodes++;
    if (is_over(m)) {
        check_end(m);
        if (m->aborts == m->max_aborts || m->committed.log_len == m->log_len)
            return;
    }
    if (m->written < WRITES)
        do_write(*m);
    for (enum reader r = 0; r < READERS; r++)
        search_reader(m, r);
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

/* One of the readers is not there: it is done, and always was. */
static void search_without(struct model m, enum reader absent)
{
    m.readers[absent].state = READER_DONE;
    m.committed.done[absent] = true;
    search(&m);
}

static void search_alone(struct model m)
{
    for (enum reader absent = 0; absent < READERS; absent++) {
        m.max_fails = 2;
        m.max_aborts = 0;
        search_without(m, absent);
        m.max_fails = 0;
        m.max_aborts = 1;
        search_without(m, absent);
    }
}

static const struct model kinds[] = {
    {.repair_has_ticket = true}, {.repair_has_ticket = true, .creates = true, .deletes = true}};

static void begin(void)
{
    nodes = ends = wrong = 0;
}

static void told(void)
{
    printf("%ld states, %ld ends, %ld wrong\n", nodes, ends, wrong);
}

static void every_interleaving_ends_with_the_sources_value(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        search_alone(kinds[i]);
        search(&kinds[i]);
    }
    told();
    assert_true(ends > 1000);
    assert_int_equal(wrong, 0);
}

static void a_repair_without_a_ticket_is_wrong_in_some(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct model m = kinds[i];

        m.repair_has_ticket = false;
        begin();
        search_without(m, PAGE);
        told();
        assert_true(wrong > 0);
    }
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
        cmocka_unit_test(a_repair_without_a_ticket_is_wrong_in_some),
        cmocka_unit_test(a_change_waits_for_the_page_asked_for_before_it),
        cmocka_unit_test(a_page_asked_for_after_a_change_does_not_hold_it),
        cmocka_unit_test(a_failed_page_lets_go_and_its_retry_holds_only_what_comes_after),
        cmocka_unit_test(an_abort_makes_every_answer_under_way_stale),
        cmocka_unit_test(threads_share_a_barrier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

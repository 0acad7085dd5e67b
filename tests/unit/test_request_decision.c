/* tests/unit/test_request_decision.c - what each request means in each phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "producer/request_decision.h"

#define GENERATION 500

enum life {
    RUNS,
    HALTED,
    RENEWS,      /* halted, and goes on by itself */
    BETWEEN,     /* it begins or halts */
    UNCOMMITTED, /* halted, which is not committed yet */
    LEAVING,     /* halted, and something that read it has not ended */
};

struct row {
    enum table_signal_type type;
    enum life life;
    enum ledger_phase phase;
    enum request_verdict verdict;
};

static struct ledger_table record(enum ledger_phase phase)
{
    return (struct ledger_table){.phase = phase, .reason = "why", .generation = GENERATION};
}

static struct request_decision decide(enum table_signal_type type, enum life life,
                                      const struct ledger_table *t, int64_t generation)
{
    const struct table_signal signal = {.type = type, .generation = generation};
    const struct request_situation at = {.table = t,
                                         .runs = life == RUNS,
                                         .halted = life != RUNS && life != BETWEEN,
                                         .renews = life == RENEWS,
                                         .readers_ended = life != LEAVING,
                                         .is_committed = life != UNCOMMITTED};
    struct request_decision ret;

    request_decision_make(&ret, &signal, &at);
    return ret;
}

static const struct row rows[] = {
    {TABLE_SIGNAL_REPAIR, RUNS, PHASE_SNAPSHOT, REQUEST_REPAIR},
    {TABLE_SIGNAL_REPAIR, RUNS, PHASE_TAIL, REQUEST_REPAIR},
    {TABLE_SIGNAL_REPAIR, HALTED, PHASE_GAP, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPAIR, HALTED, PHASE_PAUSED, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPAIR, HALTED, PHASE_GONE, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPAIR, HALTED, PHASE_FAILED, REQUEST_REFUSE},

    {TABLE_SIGNAL_SNAPSHOT, RUNS, PHASE_SNAPSHOT, REQUEST_RENEW},
    {TABLE_SIGNAL_SNAPSHOT, RUNS, PHASE_TAIL, REQUEST_RENEW},
    {TABLE_SIGNAL_SNAPSHOT, HALTED, PHASE_GAP, REQUEST_RENEW},
    {TABLE_SIGNAL_SNAPSHOT, HALTED, PHASE_PAUSED, REQUEST_REFUSE},
    {TABLE_SIGNAL_SNAPSHOT, HALTED, PHASE_GONE, REQUEST_REFUSE},
    {TABLE_SIGNAL_SNAPSHOT, HALTED, PHASE_FAILED, REQUEST_RENEW},

    {TABLE_SIGNAL_PAUSE, RUNS, PHASE_SNAPSHOT, REQUEST_PAUSE},
    {TABLE_SIGNAL_PAUSE, RUNS, PHASE_TAIL, REQUEST_PAUSE},
    {TABLE_SIGNAL_PAUSE, HALTED, PHASE_GAP, REQUEST_REFUSE},
    {TABLE_SIGNAL_PAUSE, HALTED, PHASE_PAUSED, REQUEST_PASS},
    {TABLE_SIGNAL_PAUSE, HALTED, PHASE_GONE, REQUEST_REFUSE},
    {TABLE_SIGNAL_PAUSE, HALTED, PHASE_FAILED, REQUEST_REFUSE},

    {TABLE_SIGNAL_RESUME, RUNS, PHASE_SNAPSHOT, REQUEST_PASS},
    {TABLE_SIGNAL_RESUME, RUNS, PHASE_TAIL, REQUEST_PASS},
    {TABLE_SIGNAL_RESUME, HALTED, PHASE_GAP, REQUEST_RENEW},
    {TABLE_SIGNAL_RESUME, HALTED, PHASE_PAUSED, REQUEST_START},
    {TABLE_SIGNAL_RESUME, HALTED, PHASE_GONE, REQUEST_START},
    {TABLE_SIGNAL_RESUME, HALTED, PHASE_FAILED, REQUEST_START},

    {TABLE_SIGNAL_FORGET, RUNS, PHASE_SNAPSHOT, REQUEST_REFUSE},
    {TABLE_SIGNAL_FORGET, RUNS, PHASE_TAIL, REQUEST_REFUSE},
    {TABLE_SIGNAL_FORGET, HALTED, PHASE_GAP, REQUEST_REFUSE},
    {TABLE_SIGNAL_FORGET, HALTED, PHASE_PAUSED, REQUEST_REFUSE},
    {TABLE_SIGNAL_FORGET, HALTED, PHASE_GONE, REQUEST_FORGET},
    {TABLE_SIGNAL_FORGET, HALTED, PHASE_FAILED, REQUEST_REFUSE},

    {TABLE_SIGNAL_REPORT, RUNS, PHASE_SNAPSHOT, REQUEST_REPORT},
    {TABLE_SIGNAL_REPORT, RUNS, PHASE_TAIL, REQUEST_REPORT},
    {TABLE_SIGNAL_REPORT, HALTED, PHASE_GAP, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPORT, HALTED, PHASE_PAUSED, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPORT, HALTED, PHASE_GONE, REQUEST_REFUSE},
    {TABLE_SIGNAL_REPORT, HALTED, PHASE_FAILED, REQUEST_REFUSE},
};

static void each_request_means_one_thing_in_each_phase(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_table t = record(rows[i].phase);
        struct request_decision d = decide(rows[i].type, rows[i].life, &t, 0);

        if (d.verdict != rows[i].verdict)
            fail_msg("row %zu: %d, not %d", i, d.verdict, rows[i].verdict);
        /* a reason is given exactly when nothing comes of it */
        assert_int_equal(*d.why != '\0',
                         d.verdict == REQUEST_PASS || d.verdict == REQUEST_REFUSE);
    }
}

static void all_wait_for_a_table_that_begins_or_halts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_table t = record(rows[i].phase);

        assert_int_equal(decide(rows[i].type, BETWEEN, &t, 0).verdict, REQUEST_WAIT);
    }
}

/* A halt that an abort takes back was none. */
static void what_takes_a_halted_table_further_waits_for_the_commit_of_its_halt(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_table t = record(rows[i].phase);
        bool further = rows[i].verdict == REQUEST_RENEW || rows[i].verdict == REQUEST_START ||
                       rows[i].verdict == REQUEST_FORGET;

        if (rows[i].life == HALTED)
            assert_int_equal(decide(rows[i].type, UNCOMMITTED, &t, 0).verdict,
                             further ? REQUEST_WAIT : rows[i].verdict);
    }
}

static void what_starts_a_table_waits_for_the_end_of_its_readers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ledger_table t = record(rows[i].phase);
        bool starts = rows[i].verdict == REQUEST_START;

        if (rows[i].life == HALTED)
            assert_int_equal(decide(rows[i].type, LEAVING, &t, 0).verdict,
                             starts ? REQUEST_WAIT : rows[i].verdict);
    }
}

static void a_snapshot_is_void_when_another_generation_has_begun(void **state)
{
    static const enum ledger_phase phases[] = {PHASE_SNAPSHOT, PHASE_TAIL, PHASE_GAP,
                                               PHASE_PAUSED,   PHASE_GONE, PHASE_FAILED};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        struct ledger_table t = record(phases[i]);
        enum life life = i < 2 ? RUNS : HALTED;

        assert_int_equal(decide(TABLE_SIGNAL_SNAPSHOT, life, &t, GENERATION - 1).verdict,
                         REQUEST_PASS);
        assert_int_equal(decide(TABLE_SIGNAL_SNAPSHOT, life, &t, GENERATION).verdict,
                         decide(TABLE_SIGNAL_SNAPSHOT, life, &t, 0).verdict);
    }
}

/* What it can't do meanwhile it does then; asked twice it begins one. */
static void a_table_that_goes_on_by_itself_is_not_refused_anything(void **state)
{
    struct ledger_table t = record(PHASE_GAP);

    (void)state;
    assert_int_equal(decide(TABLE_SIGNAL_SNAPSHOT, RENEWS, &t, 0).verdict, REQUEST_PASS);
    assert_int_equal(decide(TABLE_SIGNAL_SNAPSHOT, RENEWS, &t, GENERATION).verdict,
                     REQUEST_PASS);
    assert_int_equal(decide(TABLE_SIGNAL_RESUME, RENEWS, &t, 0).verdict, REQUEST_PASS);
    assert_int_equal(decide(TABLE_SIGNAL_REPAIR, RENEWS, &t, 0).verdict, REQUEST_WAIT);
    assert_int_equal(decide(TABLE_SIGNAL_PAUSE, RENEWS, &t, 0).verdict, REQUEST_PAUSE);
}

static void a_table_that_never_began_is_looked_at_again(void **state)
{
    struct ledger_table t = record(PHASE_FAILED);

    (void)state;
    t.generation = 0;
    assert_int_equal(decide(TABLE_SIGNAL_SNAPSHOT, HALTED, &t, 0).verdict, REQUEST_START);
    assert_int_equal(decide(TABLE_SIGNAL_RESUME, HALTED, &t, 0).verdict, REQUEST_START);
    t.phase = PHASE_GAP;
    assert_int_equal(decide(TABLE_SIGNAL_RESUME, HALTED, &t, 0).verdict, REQUEST_START);
}

static void a_finished_snapshot_without_changes_takes_no_request(void **state)
{
    struct ledger_table t = record(PHASE_TAIL);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct table_signal signal = {.type = rows[i].type};
        const struct request_situation at = {
            .table = &t, .runs = i % 2, .halted = !(i % 2), .is_committed = true, .over = true};
        struct request_decision d;

        request_decision_make(&d, &signal, &at);
        assert_int_equal(d.verdict, REQUEST_REFUSE);
        assert_string_equal(d.why, "its snapshot is finished, and sync_mode is full");
    }
}

static void forgetting_twice_is_forgetting_once(void **state)
{
    struct ledger_table t = record(PHASE_GONE);

    (void)state;
    t.forget = true;
    assert_int_equal(decide(TABLE_SIGNAL_FORGET, HALTED, &t, 0).verdict, REQUEST_PASS);
}

static void the_reason_says_who_asked_and_why(void **state)
{
    struct table_signal signal = {.sender = "admin"};
    char *reason = request_decision_reason(&signal);

    (void)state;
    assert_string_equal(reason, "asked for by admin");
    free(reason);
    signal.reason = "maintenance";
    reason = request_decision_reason(&signal);
    assert_string_equal(reason, "asked for by admin: maintenance");
    free(reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_means_one_thing_in_each_phase),
        cmocka_unit_test(all_wait_for_a_table_that_begins_or_halts),
        cmocka_unit_test(what_takes_a_halted_table_further_waits_for_the_commit_of_its_halt),
        cmocka_unit_test(what_starts_a_table_waits_for_the_end_of_its_readers),
        cmocka_unit_test(a_snapshot_is_void_when_another_generation_has_begun),
        cmocka_unit_test(a_table_that_goes_on_by_itself_is_not_refused_anything),
        cmocka_unit_test(a_table_that_never_began_is_looked_at_again),
        cmocka_unit_test(a_finished_snapshot_without_changes_takes_no_request),
        cmocka_unit_test(forgetting_twice_is_forgetting_once),
        cmocka_unit_test(the_reason_says_who_asked_and_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_table_requests.c - what a table's requests do to it, in every order of
 * request, commit and abort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_table_bench.h"

#include "producer/carried_table.h"

/* The outcome is in the record that halts the table, or nowhere. */
static void a_pause_that_an_abort_took_back_is_asked_for_again(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = bench_request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    for (int i = 0; i < 2; i++) {
        bench_take(&b, &pause);
        assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
        assert_non_null(strstr(world.last_value, "\"phase\":\"paused\""));
        assert_non_null(strstr(world.last_value, "\"signal_offset\":1"));
        assert_non_null(
            strstr(world.last_value, "{\"offset\":0,\"id\":\"id-1\",\"refused\":\"\",\"ts_ms\":"));
        bench_control(&b);
        assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
        if (i > 0)
            break;
        bench_aborted(&b);
        assert_int_equal(b.w->state, WORKER_RUNNING);
        assert_int_equal(b.w->appended.now.phase, PHASE_SNAPSHOT);
        assert_int_equal(b.w->appended.now.handled_count, 0);
    }
    bench_committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_aborted(&b); /* of others */
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

/* What was found world.meanwhile is found again when it goes on. */
static void a_table_that_is_paused_as_it_fails_is_paused(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = bench_request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    bench_take(&b, &pause);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    bench_control(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_committed(&b);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

static void a_table_that_fails_before_it_is_paused_has_failed(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = bench_request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    assert_true(bench_take(&b, &pause) > 0);
    assert_int_equal(b.w->appended.now.signal_offset, 0);
    bench_control(&b);
    bench_committed(&b);
    bench_take(&b, &pause);
    assert_non_null(strstr(world.last_value,
                           "\"refused\":\"the table is in phase gap: a shard vanished\""));
    bench_end(&b);
}

static void a_paused_table_goes_on_when_that_is_committed(void **state)
{
    struct ledger_table known = bench_record(PHASE_PAUSED, 0);
    struct pending_signal request_of_it = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_halted_and_asked(&b, &request_of_it);
    assert_non_null(strstr(world.last_value, "\"phase\":\"snapshot\",\"reason\":\"\""));
    bench_aborted(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_take(&b, &request_of_it);
    bench_committed(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static void a_new_generation_is_asked_for_in_the_record_of_the_table(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal snapshot = bench_request(TABLE_SIGNAL_SNAPSHOT);
    struct bench b;

    (void)state;
    snapshot.signal.reason = "a test";
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    bench_take(&b, &snapshot);
    assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
    assert_non_null(strstr(
        world.last_value, "\"phase\":\"gap\",\"reason\":\"asked for by admin: a test\""));
    assert_non_null(strstr(world.last_value, "\"renew\":true"));
    bench_committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_end(&b);
}

static void begin_at_the_end_of_a_snapshot(struct bench *b, const struct ledger_table *known,
                                           enum table_signal_type type)
{
    bench_begin_with_requests(b, known);
    bench_resume(b);
    bench_scan_everything(b);
    b->w->scan_confirmed = true;
    world.bench = b;
    world.request = bench_request(type);
    world.meanwhile = bench_take_meanwhile;
}

static void a_table_that_is_paused_as_its_snapshot_ends_is_paused(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal go_on = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;
    struct error err;

    (void)state;
    begin_at_the_end_of_a_snapshot(&b, &known, TABLE_SIGNAL_PAUSE);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->state, WORKER_HALT_APPENDED);
    assert_non_null(strstr(world.last_value, "\"phase\":\"paused\""));
    assert_true(b.w->appended.now.finished_ms > 0);
    bench_committed(&b);
    go_on.offset = 1;
    bench_take(&b, &go_on);
    assert_non_null(strstr(world.last_value, "\"phase\":\"tail\""));
    bench_end(&b);
}

static void a_generation_that_is_asked_for_as_a_snapshot_ends_begins(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    begin_at_the_end_of_a_snapshot(&b, &known, TABLE_SIGNAL_SNAPSHOT);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_non_null(strstr(world.last_value, "\"phase\":\"gap\""));
    bench_committed(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_false(table_worker_is_over(b.w));
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

static void find_a_gap(void)
{
    table_worker_halt(world.bench->w, PHASE_GAP, "a shard vanished");
}

static void a_request_that_has_to_wait_after_all_appends_nothing(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal pause = bench_request(TABLE_SIGNAL_PAUSE);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    world.last_value[0] = '\0';
    world.bench = &b;
    world.at_the_gate = find_a_gap;
    bench_take(&b, &pause);
    assert_non_null(b.w->halt_reason);
    assert_string_equal(world.last_value, "");
    assert_false(b.w->appended.dirty);
    bench_end(&b);
}

/* Blank, it would begin at the end of the signal topic, behind what was sent meanwhile. */
static void a_table_joins_the_signal_topic_with_the_offset_of_its_record(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    known.signal_offset = 9;
    world.ledger_is_broken = true;
    bench_begin(&b, SYNC_ALL, &known);
    carried_table_begin(b.w);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_UNREADABLE);
    assert_int_equal(world.joined_from, -2);
    world.ledger_is_broken = false;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_int_equal(world.joined_from, 9);
    bench_end(&b);
}

/* What they find late would halt it anew, in a phase that the source does not show any more. */
static void a_table_goes_on_when_all_readers_of_its_last_life_have_ended(void **state)
{
    struct ledger_table known = bench_record(PHASE_PAUSED, 0);
    struct pending_signal go_on = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    table_worker_set_state(b.w, WORKER_HALTED);
    b.w->parts = 1;
    assert_true(bench_take(&b, &go_on) > 0);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_string_equal(world.last_value, "");
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    b.w->parts = 0;
    bench_take(&b, &go_on);
    assert_int_equal(b.w->state, WORKER_START_APPENDED);
    bench_end(&b);
}

/* It would be written over the halt that an abort of the start goes back to. */
static void what_fails_late_does_not_halt_a_table_that_is_about_to_go_on(void **state)
{
    struct ledger_table known = bench_record(PHASE_PAUSED, 0);
    struct pending_signal go_on = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_halted_and_asked(&b, &go_on);
    bench_topic_fails(&b);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_START_APPENDED);
    bench_aborted(&b);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_that_an_abort_took_back_is_asked_for_again),
        cmocka_unit_test(a_table_that_is_paused_as_it_fails_is_paused),
        cmocka_unit_test(a_table_that_fails_before_it_is_paused_has_failed),
        cmocka_unit_test(a_paused_table_goes_on_when_that_is_committed),
        cmocka_unit_test(a_new_generation_is_asked_for_in_the_record_of_the_table),
        cmocka_unit_test(a_table_that_is_paused_as_its_snapshot_ends_is_paused),
        cmocka_unit_test(a_generation_that_is_asked_for_as_a_snapshot_ends_begins),
        cmocka_unit_test(a_request_that_has_to_wait_after_all_appends_nothing),
        cmocka_unit_test(a_table_goes_on_when_all_readers_of_its_last_life_have_ended),
        cmocka_unit_test(what_fails_late_does_not_halt_a_table_that_is_about_to_go_on),
        cmocka_unit_test(a_table_joins_the_signal_topic_with_the_offset_of_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

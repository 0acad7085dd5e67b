/* tests/unit/test_table_control.c - how a table is halted, and what brings it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/start_decision.h"
#include "support_table_bench.h"

static void a_table_that_stops_gives_its_place_among_the_scans_back(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_resume(&b);
    bench_control(&b);
    assert_false(throttle_scan_begin(b.p.throttle));
    table_worker_halt(b.w, PHASE_GONE, "it was deleted");
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_true(throttle_scan_begin(b.p.throttle));
    bench_end(&b);
}

static void a_stop_that_an_abort_took_back_is_written_again(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "its stream was disabled");
    for (int i = 0; i < 2; i++) {
        world.last_value[0] = '\0';
        bench_control(&b);
        assert_int_equal(b.w->state, WORKER_HALTED);
        assert_non_null(strstr(world.last_value, "\"phase\":\"gap\""));
        b.w->member.aborted(b.w->member.arg);
        assert_int_equal(b.w->state, WORKER_HALTING);
    }
    bench_control(&b);
    b.w->member.committed(b.w->member.arg);
    world.last_value[0] = '\0';
    bench_control(&b);
    assert_string_equal(world.last_value, "");
    bench_end(&b);
}

static void a_lost_log_is_in_the_record_of_the_gap(void **state)
{
    static const struct {
        const char *why;
        bool lost;
    } cases[] = {{START_OTHER_LOG, true},
                 {"the data topic is gone", true},
                 {"the data topic was made anew: partition 1 went from 7 to 3", true},
                 {"the table was deleted and made again", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ledger_table known = bench_record(PHASE_TAIL, 1);
        struct bench b;

        bench_begin(&b, SYNC_FULL, &known);
        bench_resume(&b);
        table_worker_halt(b.w, PHASE_GAP, cases[i].why);
        bench_control(&b);
        assert_int_equal(strstr(world.last_value, "\"lost_log\":true") != NULL, cases[i].lost);
        bench_end(&b);
    }
}

static void
a_gap_is_committed_and_left_by_all_readers_before_the_table_starts_again(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    b.p.renews_gaps = true;
    bench_resume(&b);
    b.w->parts = 1;
    table_worker_halt(b.w, PHASE_GAP, "the table was deleted and made again");
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_non_null(strstr(world.last_value, "\"phase\":\"gap\""));
    assert_non_null(strstr(world.last_value, "\"renew\":true"));
    assert_non_null(strstr(world.last_value, "\"gaps\":1"));
    assert_false(table_worker_is_over(b.w));
    assert_true(bench_all_is_well()); /* it goes on by itself */
    b.w->parts = 0;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED); /* a crash would go on in the old generation */
    b.w->member.committed(b.w->member.arg);
    b.w->parts = 1;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    b.w->parts = 0;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_null(b.w->halt_reason);
    bench_end(&b);
}

static void a_second_gap_in_a_row_waits(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;

    (void)state;
    known.gaps = 1;
    known.started_ms = clock_wall_ms();
    bench_begin(&b, SYNC_FULL, &known);
    b.p.renews_gaps = true;
    bench_resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "the table was deleted and made again");
    bench_control(&b);
    assert_non_null(strstr(world.last_value, "\"gaps\":2"));
    b.w->member.committed(b.w->member.arg);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_false(bench_all_is_well());
    b.w->appended.now.started_ms -= 30000;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* Whatever the source says world.meanwhile: only a person, or another setting, ends it. */
static void a_gap_that_is_to_halt_the_table_stays_over_a_restart(void **state)
{
    struct ledger_table known = bench_record(PHASE_GAP, 1);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_control(&b); /* it starts, and nothing is world.asked */
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_true(table_worker_is_over(b.w));
    assert_false(bench_all_is_well());
    b.w->appended.now.renew = b.w->appended.committed.renew = true; /* a request */
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* Whatever on_gap says: nobody could end it by a request. */
static void a_gap_before_the_first_generation_is_looked_at_again(void **state)
{
    struct ledger_table known = bench_record(PHASE_GAP, 0);
    struct bench b;

    (void)state;
    known.generation = 0;
    bench_begin(&b, SYNC_ALL, &known);
    table_worker_set_state(b.w, WORKER_HALTED);
    assert_false(table_worker_is_over(b.w));
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_end(&b);
}

/* Else it would not be looked at again, when it fails for what may be mended. */
static void
a_topic_that_failed_while_its_table_was_halted_says_nothing_of_its_next_halt(void **state)
{
    struct ledger_table known = bench_record(PHASE_PAUSED, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    table_worker_set_state(b.w, WORKER_HALTED);
    bench_topic_fails(&b);
    assert_null(b.w->halt_reason);
    assert_false(b.w->halt_is_final);
    bench_end(&b);
}

static void a_new_generation_is_not_final_because_the_last_one_was(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct pending_signal snapshot = bench_request(TABLE_SIGNAL_SNAPSHOT);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_resume(&b);
    bench_topic_fails(&b);
    bench_control(&b);
    bench_committed(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_FAILED);
    assert_true(b.w->halt_is_final);
    bench_take(&b, &snapshot);
    bench_committed(&b);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_false(b.w->halt_is_final);
    bench_end(&b);
}

/* Who asked and waits for it would wait for ever, or give up before the look. */
static void a_table_that_is_asked_to_go_on_says_so_until_it_was_looked_at_again(void **state)
{
    struct ddb_table desc = {.name = "t",
                             .status = "ACTIVE",
                             .stream_arn = "arn",
                             .stream_enabled = true,
                             .stream_view = "KEYS_ONLY"};
    struct ledger_table known = bench_record(PHASE_FAILED, 0);
    struct pending_signal go_on = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;
    int64_t delay;

    (void)state;
    known.reason = "its stream has the view KEYS_ONLY, which lacks the new images: disable the "
                   "stream and enable it with NEW_AND_OLD_IMAGES (or let dynaferry do that)";
    bench_begin_with_requests(&b, &known);
    b.p.mode = SYNC_ALL;
    table_worker_set_state(b.w, WORKER_HALTED);
    bench_take(&b, &go_on);
    assert_non_null(strstr(world.last_value, "\"phase\":\"failed\""));
    assert_non_null(strstr(world.last_value, "\"retry\":true"));
    bench_committed(&b);
    table_start_note_known(b.w);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_non_null(strstr(world.last_value, "\"phase\":\"failed\""));
    assert_null(strstr(world.last_value, "retry"));
    bench_end(&b);
}

static void pause_and_commit(void)
{
    world.request = bench_request(TABLE_SIGNAL_PAUSE);
    bench_take(world.bench, &world.request);
    bench_committed(world.bench);
}

static void look_at_a_shard_without_its_parent(struct bench *b)
{
    int64_t long_ago = clock_mono_ms() - 3600000;

    for (int i = 0; i < 3; i++)
        doubt_said(&b->w->look.shards, "the parent of shard s2 is neither read nor listed",
                   long_ago + i, 60000);
    b->w->look.routine_at_ms = INT64_MAX; /* the table is not looked at */
    b->w->look.log.at_ms = INT64_MAX;
    b->w->look.step.run(b->w->look.step.arg, &b->a);
}

/* An abort, of others, would write the gap over the pause. */
static void what_a_look_finds_as_its_table_is_paused_is_not_kept(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_run_with_stream(&b, &known);
    world.bench = &b;
    world.meanwhile = pause_and_commit;
    look_at_a_shard_without_its_parent(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_aborted(&b);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    assert_int_equal(b.w->appended.now.phase, PHASE_PAUSED);
    bench_end(&b);
}

static void a_shard_whose_parent_is_never_listed_is_a_gap(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_run_with_stream(&b, &known);
    look_at_a_shard_without_its_parent(&b);
    bench_control(&b);
    assert_int_equal(b.w->appended.now.phase, PHASE_GAP);
    bench_end(&b);
}

static void commit_and_take(void)
{
    bench_committed(world.bench);
    bench_take(world.bench, &world.request);
}

static void a_halt_that_a_request_ends_at_once_is_logged_as_it_was(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    bench_begin_with_requests(&b, &known);
    bench_run_with_stream(&b, &known);
    table_worker_halt(b.w, PHASE_GAP, "a shard vanished");
    world.bench = &b;
    world.request = bench_request(TABLE_SIGNAL_RESUME);
    world.behind_the_gate = commit_and_take;
    bench_control(&b);
    assert_null(b.w->halt_reason);
    assert_non_null(strstr(world.last_error, "reason=a shard vanished"));
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_stops_gives_its_place_among_the_scans_back),
        cmocka_unit_test(a_stop_that_an_abort_took_back_is_written_again),
        cmocka_unit_test(a_lost_log_is_in_the_record_of_the_gap),
        cmocka_unit_test(
            a_gap_is_committed_and_left_by_all_readers_before_the_table_starts_again),
        cmocka_unit_test(a_second_gap_in_a_row_waits),
        cmocka_unit_test(a_gap_that_is_to_halt_the_table_stays_over_a_restart),
        cmocka_unit_test(a_gap_before_the_first_generation_is_looked_at_again),
        cmocka_unit_test(
            a_topic_that_failed_while_its_table_was_halted_says_nothing_of_its_next_halt),
        cmocka_unit_test(a_new_generation_is_not_final_because_the_last_one_was),
        cmocka_unit_test(a_table_that_is_asked_to_go_on_says_so_until_it_was_looked_at_again),
        cmocka_unit_test(what_a_look_finds_as_its_table_is_paused_is_not_kept),
        cmocka_unit_test(a_shard_whose_parent_is_never_listed_is_a_gap),
        cmocka_unit_test(a_halt_that_a_request_ends_at_once_is_logged_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_table_record.c - a table's own record: what begins, goes on and ends in it,
 * over aborts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_table_bench.h"

static void a_second_try_to_begin_a_generation_records_its_begin_offsets(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 2);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_adopt_next(&b, 2);
    b.w->member.aborted(b.w->member.arg);
    assert_int_equal(b.w->state, WORKER_STARTING);
    bench_adopt_next(&b, 3);
    b.w->member.committed(b.w->member.arg);
    bench_control(&b);
    assert_non_null(b.w->appended.now.begin_offsets);
    assert_int_equal(b.w->appended.now.begin_offsets[0], 7);
    assert_non_null(strstr(world.last_value, "\"begin_offsets\":[7]"));
    bench_end(&b);
}

/* Each stream that was lost would leave its shards in the ledger for good. */
static void a_new_generation_removes_the_records_that_say_nothing_in_it(void **state)
{
    static const char *const keys[] = {"shard/t/of-the-old-stream",
                                       "shard/t/of-both",
                                       "shard/u/another-table's",
                                       "segment/t/0",
                                       "segment/t/1",
                                       "segment/t/12",
                                       NULL};
    struct ledger_table known = bench_record(PHASE_GAP, 2), t;
    struct ledger_shard shard = {.generation = 2,
                                 .id = xstrdup("of-both"),
                                 .parent = xstrdup(""),
                                 .status = SHARD_PREPARE,
                                 .sequence = xstrdup("")};
    struct shard_tree tree = {0};
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_ALL, &known);
    shard_tree_add(&tree, &shard);
    known.generation = 2;
    known.phase = PHASE_SNAPSHOT;
    known.begin_offsets = NULL;
    ledger_table_copy(&t, &known);
    world.other_keys = keys;
    world.tombstones[0] = '\0';
    assert_int_equal(table_adopt_append(&b.a, &t, &tree, &err), 0);
    assert_string_equal(world.tombstones,
                        "shard/t/of-the-old-stream segment/t/1 segment/t/12 ");
    world.other_keys = NULL;
    bench_end(&b);
}

static void a_table_that_goes_on_after_a_failure_stays_so_over_an_abort(void **state)
{
    struct ledger_table known = bench_record(PHASE_FAILED, 0);
    struct bench b;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_resume(&b);
    for (int i = 0; i < 2; i++) { /* the abort also took the record back: written once more */
        world.last_value[0] = '\0';
        bench_control(&b);
        assert_non_null(strstr(world.last_value, "\"phase\":\"snapshot\",\"reason\":\"\""));
        assert_non_null(strstr(world.last_value, "\"begin_offsets\":[3]"));
        b.w->member.aborted(b.w->member.arg);
        assert_int_equal(b.w->appended.now.phase,
                         PHASE_SNAPSHOT); /* or nothing would be scanned */
    }
    bench_end(&b);
}

static void the_last_page_of_a_table_that_stopped_does_not_end_the_stop(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_resume(&b);
    table_worker_halt(b.w, PHASE_GAP, "its stream was disabled");
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_scan_everything(&b);
    b.w->scan_confirmed = true;
    world.last_value[0] = '\0';
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_string_equal(world.last_value, "");
    assert_int_equal(b.w->appended.now.phase, PHASE_GAP);
    assert_int_equal(b.w->appended.now.finished_ms, 0);
    bench_end(&b);
}

/* A table that was made again in mid-scan gives rows of both. */
static void a_snapshot_ends_when_the_table_was_looked_at_after_its_last_page(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct error err;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    bench_resume(&b);
    bench_scan_everything(&b);
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->appended.now.phase, PHASE_SNAPSHOT);
    b.w->scan_confirmed = true;
    assert_int_equal(ledger_dues_append_end(&b.a, &err), 0);
    assert_int_equal(b.w->appended.now.phase, PHASE_TAIL);
    assert_non_null(strstr(world.last_value, "\"phase\":\"tail\""));
    assert_true(b.w->appended.now.finished_ms > 0);
    bench_end(&b);
}

/* What it says may be all there is to tell what happened. */
static void a_record_that_can_not_be_read_is_not_written_over(void **state)
{
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;

    (void)state;
    world.ledger_is_broken = true;
    bench_begin(&b, SYNC_FULL, &known);
    world.last_value[0] = '\0';
    assert_int_equal(b.w->state, WORKER_UNREADABLE);
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_UNREADABLE);
    assert_string_equal(world.last_value, "");
    world.ledger_is_broken = false;
    bench_control(&b);
    assert_int_equal(b.w->state, WORKER_STARTING);
    assert_int_equal(b.w->appended.now.generation, 1);
    bench_end(&b);
}

/* Positions that it committed may not be in the cache yet: from older ones it would read twice.
 */
static void a_table_that_ran_goes_on_when_the_cache_has_all_that_it_committed(void **state)
{
    struct ledger_table known = bench_record(PHASE_PAUSED, 0);
    struct pending_signal request_of_it = bench_request(TABLE_SIGNAL_RESUME);
    struct bench b;
    struct error err;

    (void)state;
    bench_begin_with_requests(&b, &known);
    assert_int_equal(table_record_sync(b.w, &err), 0);
    bench_halted_and_asked(&b, &request_of_it);
    bench_committed(&b);
    world.topic_has = world.cache_has + 1;
    assert_int_equal(table_record_sync(b.w, &err), -1);
    assert_int_equal(table_record_sync(b.w, &err), -1);
    world.cache_has = world.topic_has;
    assert_int_equal(table_record_sync(b.w, &err), 0);
    world.topic_has++; /* of others */
    assert_int_equal(table_record_sync(b.w, &err), 0);
    world.cache_has = world.topic_has;
    bench_end(&b);
}

static void a_table_that_is_being_made_is_waited_for(void **state)
{
    struct ddb_table desc = {.name = "t", .status = "CREATING", .stream_arn = ""};
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;
    int64_t delay;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_true(delay > 0);
    desc.status = "ACTIVE";
    assert_true(table_start_has_stream(&b.a, &desc, &delay));
    bench_end(&b);
}

/* Neither while a stop is doubted, nor when the ledger tells of it already. */
static void a_table_without_the_stream_that_it_needs_never_begins(void **state)
{
    struct ddb_table desc = {.name = "t",
                             .status = "ACTIVE",
                             .stream_arn = "arn",
                             .stream_enabled = true,
                             .stream_view = "KEYS_ONLY"};
    struct ledger_table known = bench_record(PHASE_TAIL, 1);
    struct bench b;
    int64_t delay;

    (void)state;
    bench_begin(&b, SYNC_ALL, &known);
    table_start_note_known(b.w);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_true(delay > 0);
    assert_int_equal(b.w->state, WORKER_STARTING);
    b.w->known.phase = PHASE_FAILED;
    free(b.w->known.reason);
    b.w->known.reason = xstrdup(b.w->start.what);
    assert_false(table_start_has_stream(&b.a, &desc, &delay));
    assert_int_equal(b.w->state, WORKER_HALTED);
    bench_end(&b);
}

static void aborts_in_a_row_slow_the_table_down_until_something_of_it_is_committed(void **state)
{
    struct ledger_table known = bench_record(PHASE_SNAPSHOT, 0);
    struct bench b;
    struct table_worker *w;

    (void)state;
    bench_begin(&b, SYNC_FULL, &known);
    w = b.w;
    bench_resume(&b);
    w->member.aborted(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0); /* one is gone on from at once */
    w->member.aborted(w->member.arg);
    assert_in_range(table_worker_pause_ms(w), 1, 200);
    w->member.committed(w->member.arg); /* of its neighbours */
    for (int i = 0; i < 50; i++)
        w->member.aborted(w->member.arg);
    assert_in_range(table_worker_pause_ms(w), 5000, 10000);
    table_state_segment_recorded(&w->appended, 0);
    w->member.committed(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0);
    w->member.aborted(w->member.arg);
    assert_int_equal(table_worker_pause_ms(w), 0);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_try_to_begin_a_generation_records_its_begin_offsets),
        cmocka_unit_test(a_new_generation_removes_the_records_that_say_nothing_in_it),
        cmocka_unit_test(a_table_that_goes_on_after_a_failure_stays_so_over_an_abort),
        cmocka_unit_test(the_last_page_of_a_table_that_stopped_does_not_end_the_stop),
        cmocka_unit_test(a_snapshot_ends_when_the_table_was_looked_at_after_its_last_page),
        cmocka_unit_test(a_record_that_can_not_be_read_is_not_written_over),
        cmocka_unit_test(a_table_that_ran_goes_on_when_the_cache_has_all_that_it_committed),
        cmocka_unit_test(a_table_that_is_being_made_is_waited_for),
        cmocka_unit_test(a_table_without_the_stream_that_it_needs_never_begins),
        cmocka_unit_test(
            aborts_in_a_row_slow_the_table_down_until_something_of_it_is_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

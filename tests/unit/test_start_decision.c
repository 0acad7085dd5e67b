/* tests/unit/test_start_decision.c - new generation, going on, or standing still: every case of
 * the ledger and the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "producer/start_decision.h"

#define PROGRAM_STARTED 1000

static struct ledger_table known(void)
{
    return (struct ledger_table){
        .phase = PHASE_TAIL,
        .reason = "",
        .generation = 500,
        .table_id = "id-1",
        .stream_arn = "arn-1",
        .key_schema = {.hash = {"pk", 2, 'S'}},
        .partitions = 12,
        .rows = true,
        .finished_ms = 900,
    };
}

static struct ddb_table source(void)
{
    return (struct ddb_table){
        .name = "t",
        .id = "id-1",
        .status = "ACTIVE",
        .stream_arn = "arn-1",
        .stream_enabled = true,
        .stream_view = "NEW_AND_OLD_IMAGES",
        .key_schema = {.hash = {"pk", 2, 'S'}},
    };
}

static struct start_asked asked(enum sync_mode mode, const struct ledger_table *k,
                                const struct ddb_table *s, int32_t partitions)
{
    return (struct start_asked){.mode = mode,
                                .program_started_ms = PROGRAM_STARTED,
                                .known = k,
                                .now = s,
                                .topic_partitions = partitions};
}

static void expect(enum sync_mode mode, const struct ledger_table *k, const struct ddb_table *s,
                   int32_t partitions, enum start_verdict verdict, enum ledger_phase phase)
{
    struct start_asked a = asked(mode, k, s, partitions);
    struct start_decision d = start_decision_make(&a);

    assert_int_equal(d.verdict, verdict);
    if (verdict == START_HALT)
        assert_int_equal(d.phase, phase);
}

static void expect_if_renews(bool renews, const struct ledger_table *k,
                             const struct ddb_table *s, enum start_verdict verdict)
{
    struct start_asked a = asked(SYNC_ALL, k, s, 12);

    a.renews_gaps = renews;
    assert_int_equal(start_decision_make(&a).verdict, verdict);
}

static void an_unknown_table_begins_its_first_generation(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    expect(SYNC_ALL, NULL, &s, 0, START_NEW, 0);
    k.generation = 0; /* it could not start before */
    k.phase = PHASE_FAILED;
    expect(SYNC_ALL, &k, &s, 0, START_NEW, 0);
}

static void a_known_table_goes_on(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    expect(SYNC_ALL, &k, &s, 12, START_RESUME, 0);
    k.phase = PHASE_SNAPSHOT;
    k.finished_ms = 0;
    expect(SYNC_ALL, &k, &s, 12, START_RESUME, 0);
    k.phase = PHASE_FAILED; /* a topic's error that may have been mended */
    expect(SYNC_ALL, &k, &s, 12, START_RESUME, 0);
}

static void what_can_not_be_told_apart_from_loss_is_a_gap(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    expect(SYNC_ALL, &k, &s, 0, START_HALT, PHASE_GAP); /* the data topic is gone */
    s.id = "id-2";
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
    s = source();
    s.stream_arn = "arn-2";
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
    s = source();
    s.stream_enabled = false;
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
    s = source();
    s.key_schema.hash.type = 'N';
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
}

static void a_gap_and_a_pause_wait_for_a_person(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    k.phase = PHASE_GAP;
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
    k.phase = PHASE_PAUSED;
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_PAUSED);
    expect_if_renews(true, &k, &s, START_HALT);
}

static void a_gap_that_renews_begins_a_new_generation(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    k.phase = PHASE_GAP;
    expect_if_renews(true, &k, &s, START_NEW); /* by on_gap as it is now */
    k.renew = true;
    expect_if_renews(false, &k, &s, START_NEW); /* by the record: on_gap then, or a request */
    k.partitions = 3;                           /* the topic is looked at as it begins */
    s.stream_enabled = false;
    expect_if_renews(false, &k, &s, START_NEW);
    s.status = "DELETING";
    expect_if_renews(false, &k, &s, START_WAIT);
}

static void a_gap_before_the_first_generation_is_gone_on_from_by_itself(void **state)
{
    struct ledger_table k = known();

    (void)state;
    k.phase = PHASE_GAP;
    assert_false(start_decision_renews(&k, false));
    k.generation = 0;
    assert_true(start_decision_renews(&k, false));
    k.phase = PHASE_PAUSED;
    assert_false(start_decision_renews(&k, false));
}

/* That it is there again does not bring back what was lost before. */
static void a_table_with_a_gap_that_was_gone_or_failed_begins_anew_all_the_same(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    k.renew = true;
    k.phase = PHASE_GONE;
    expect_if_renews(true, &k, &s, START_NEW);
    k.phase = PHASE_FAILED;
    expect_if_renews(true, &k, &s, START_NEW);
    k.renew = false;
    expect_if_renews(true, &k, &s, START_RESUME);
}

static void a_new_gap_is_halted_for_whatever_comes_then(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    s.id = "id-2";
    expect_if_renews(true, &k, &s, START_HALT); /* nothing is read before it is recorded */
}

static void another_id_or_stream_is_believed_sooner_than_a_lack(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();
    struct start_asked a = asked(SYNC_ALL, &k, &s, 12);
    struct start_decision d;

    (void)state;
    s.id = "id-2";
    d = start_decision_make(&a);
    assert_int_equal(start_decision_doubt_ms(&d, 60000), 5000);
    assert_int_equal(start_decision_doubt_ms(&d, 300), 300);
    s = source();
    s.stream_arn = "arn-2";
    d = start_decision_make(&a);
    assert_int_equal(start_decision_doubt_ms(&d, 60000), 5000);
    s = source();
    s.stream_enabled = false;
    d = start_decision_make(&a);
    assert_int_equal(start_decision_doubt_ms(&d, 60000), 60000);
    s = source();
    a.topic_partitions = 0;
    d = start_decision_make(&a);
    assert_int_equal(start_decision_doubt_ms(&d, 60000), 60000);
}

/* It was the wrong region, or a description that lagged. */
static void a_table_that_was_gone_goes_on_when_it_is_the_same(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    k.phase = PHASE_GONE;
    expect(SYNC_ALL, &k, &s, 12, START_RESUME, 0);
    s.id = "id-2";
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
    s = source();
    s.stream_arn = "arn-2";
    expect(SYNC_ALL, &k, &s, 12, START_HALT, PHASE_GAP);
}

static void a_table_that_is_being_deleted_is_waited_for(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    s.status = "DELETING";
    expect(SYNC_ALL, &k, &s, 12, START_WAIT, 0);
    expect(SYNC_FULL, NULL, &s, 0, START_WAIT, 0);
    s = source();
    s.key_schema.hash.name = NULL; /* nothing of it is known any more */
    expect(SYNC_FULL, NULL, &s, 0, START_WAIT, 0);
}

static void another_partition_count_stops_the_table_unless_it_is_another_log(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();
    struct start_asked a = asked(SYNC_ALL, &k, &s, 13);
    struct start_decision d = start_decision_make(&a);

    (void)state;
    assert_int_equal(d.verdict, START_HALT);
    assert_int_equal(d.phase, PHASE_FAILED);
    assert_non_null(strstr(d.reason, "delete the topic"));
    a.is_other_log = true;
    d = start_decision_make(&a);
    assert_int_equal(d.verdict, START_HALT);
    assert_int_equal(d.phase, PHASE_GAP);
}

static void
a_full_run_goes_on_with_an_unfinished_snapshot_and_repeats_a_finished_one(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    s.stream_enabled = false;
    k.stream_arn = "";
    expect(SYNC_FULL, &k, &s, 12, START_NEW, 0); /* finished before this program started */
    k.finished_ms = PROGRAM_STARTED + 1;
    expect(SYNC_FULL, &k, &s, 12, START_OVER, 0);
    k.finished_ms = 0;
    expect(SYNC_FULL, &k, &s, 12, START_RESUME, 0);
}

static void modes_with_and_without_a_stream_do_not_share_a_generation(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    expect(SYNC_FULL, &k, &s, 12, START_NEW, 0);
    k.stream_arn = "";
    expect(SYNC_ALL, &k, &s, 12, START_NEW, 0);
    expect(SYNC_INCR, &k, &s, 12, START_NEW, 0);
}

static void a_generation_without_rows_is_no_start_for_all(void **state)
{
    struct ddb_table s = source();
    struct ledger_table k = known();

    (void)state;
    k.rows = false;
    k.finished_ms = 0;
    expect(SYNC_INCR, &k, &s, 12, START_RESUME, 0);
    expect(SYNC_ALL, &k, &s, 12, START_NEW, 0);
    expect(SYNC_FULL, &k, &s, 12, START_NEW, 0);
    k.taken_over = true; /* the target has them */
    expect(SYNC_ALL, &k, &s, 12, START_RESUME, 0);
    expect(SYNC_FULL, &k, &s, 12, START_NEW, 0);
    k.stream_arn = "";
    expect(SYNC_FULL, &k, &s, 12, START_NEW, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_table_begins_its_first_generation),
        cmocka_unit_test(a_known_table_goes_on),
        cmocka_unit_test(what_can_not_be_told_apart_from_loss_is_a_gap),
        cmocka_unit_test(a_gap_and_a_pause_wait_for_a_person),
        cmocka_unit_test(a_gap_that_renews_begins_a_new_generation),
        cmocka_unit_test(a_gap_before_the_first_generation_is_gone_on_from_by_itself),
        cmocka_unit_test(a_table_with_a_gap_that_was_gone_or_failed_begins_anew_all_the_same),
        cmocka_unit_test(a_new_gap_is_halted_for_whatever_comes_then),
        cmocka_unit_test(another_id_or_stream_is_believed_sooner_than_a_lack),
        cmocka_unit_test(a_table_that_was_gone_goes_on_when_it_is_the_same),
        cmocka_unit_test(a_table_that_is_being_deleted_is_waited_for),
        cmocka_unit_test(another_partition_count_stops_the_table_unless_it_is_another_log),
        cmocka_unit_test(
            a_full_run_goes_on_with_an_unfinished_snapshot_and_repeats_a_finished_one),
        cmocka_unit_test(modes_with_and_without_a_stream_do_not_share_a_generation),
        cmocka_unit_test(a_generation_without_rows_is_no_start_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

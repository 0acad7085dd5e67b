/* tests/unit/test_table_state.c - one commit makes all that a table appended committed, one
 * abort takes all of it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "producer/table_state.h"

#define NOW 1700000000000LL
#define HOUR 3600000LL

static struct ledger_table record(int64_t generation, enum ledger_phase phase, int64_t segments)
{
    return (struct ledger_table){
        .table = xstrdup("t"),
        .topic = xstrdup("dynaferry.t"),
        .phase = phase,
        .reason = xstrdup(""),
        .generation = generation,
        .table_id = xstrdup("id"),
        .stream_arn = xstrdup("arn"),
        .key_schema = {.hash = {xstrdup("pk"), 2, 'S'}},
        .segments = segments,
        .partitions = 1,
        .log_id = xstrdup("log"),
        .rows = segments > 0,
        .started_ms = NOW,
        .signal_offset = -1,
    };
}

static struct ledger_shard shard(int64_t generation, const char *id, const char *parent)
{
    return (struct ledger_shard){
        .generation = generation,
        .id = xstrdup(id),
        .parent = xstrdup(parent),
        .status = SHARD_PREPARE,
        .sequence = xstrdup(""),
        .updated_ms = NOW,
        .complete_to_ms = NOW,
        .adopted = true,
    };
}

static void adopt(struct table_state *s, int64_t generation)
{
    struct ledger_table t = record(generation, PHASE_SNAPSHOT, 2);
    struct ledger_shard one = shard(generation, "a", "");
    struct shard_tree tree = {0};

    shard_tree_add(&tree, &one);
    shard_tree_link(&tree);
    table_state_adopt(s, &t, &tree, NULL);
}

/* What the ledger has. */
static void state_of(struct table_state *s, int64_t generation, enum ledger_phase phase)
{
    struct ledger_table t = record(generation, phase, 2);

    table_state_init(s, &t);
}

static void begun(struct table_state *s)
{
    state_of(s, 0, PHASE_SNAPSHOT);
    adopt(s, 1);
    table_state_committed(s, 1, NULL);
}

static void set_offsets(struct ledger_table *t)
{
    t->begin_offsets = xcalloc(1, sizeof(*t->begin_offsets));
    t->begin_offsets[0] = 7;
}

/* ---- a generation ---- */

static void a_generation_that_an_abort_took_back_leaves_nothing(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    adopt(&s, 2);
    assert_int_equal(s.now.generation, 2);
    assert_true(table_state_aborted(&s, NULL));
    assert_int_equal(s.now.generation, 1);
    assert_int_equal(s.generation_loaded, 0);
    assert_int_equal(s.segment_count, 0);
    assert_int_equal(shard_tree_count(&s.tree), 0);
    table_state_release(&s, NULL);
}

static void a_committed_generation_stays_over_an_abort(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    assert_int_equal(s.committed.generation, 1);
    assert_false(table_state_aborted(&s, NULL));
    assert_int_equal(s.generation_loaded, 1);
    assert_int_equal(s.segment_count, 2);
    assert_non_null(shard_tree_find(&s.tree, "a"));
    assert_int_equal(s.tree.unrecorded, 0); /* its shards were in the begin's transaction */
    table_state_release(&s, NULL);
}

static void the_shards_of_a_begin_are_its_first_records(void **state)
{
    struct table_state s;

    (void)state;
    state_of(&s, 0, PHASE_SNAPSHOT);
    adopt(&s, 1);
    assert_null(shard_tree_unrecorded(&s.tree));
    table_state_committed(&s, 1, NULL);
    assert_true(shard_tree_find(&s.tree, "a")->recorded_committed);
    table_state_release(&s, NULL);
}

/* ---- its own record ---- */

static void begin_offsets_that_an_abort_took_back_are_not_there(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    set_offsets(&s.now);
    table_state_recorded(&s);
    table_state_aborted(&s, NULL);
    assert_null(s.now.begin_offsets);
    set_offsets(&s.now);
    table_state_recorded(&s);
    table_state_committed(&s, 2, NULL);
    table_state_aborted(&s, NULL);
    assert_non_null(s.now.begin_offsets);
    assert_int_equal(s.now.begin_offsets[0], 7);
    table_state_release(&s, NULL);
}

static void the_end_of_a_stop_is_due_until_it_is_committed(void **state)
{
    struct table_state s;

    (void)state;
    state_of(&s, 1, PHASE_FAILED);
    table_state_resume(&s, NULL);
    assert_int_equal(s.now.phase, PHASE_SNAPSHOT);
    assert_string_equal(s.now.reason, "");
    for (int i = 0; i < 2; i++) {
        assert_true(s.record_due);
        table_state_recorded(&s);
        assert_false(s.record_due);
        table_state_aborted(&s, NULL);
        assert_int_equal(s.now.phase, PHASE_SNAPSHOT); /* or nothing would be scanned */
    }
    assert_true(s.record_due);
    table_state_committed(&s, 1, NULL); /* of something else */
    assert_true(s.record_due);
    table_state_recorded(&s);
    table_state_committed(&s, 1, NULL);
    assert_false(s.record_due);
    table_state_aborted(&s, NULL);
    assert_false(s.record_due);
    table_state_release(&s, NULL);
}

static void what_the_ledger_says_already_is_not_due(void **state)
{
    struct table_state s;

    (void)state;
    state_of(&s, 1, PHASE_SNAPSHOT);
    table_state_resume(&s, NULL);
    assert_false(s.record_due);
    table_state_release(&s, NULL);
}

/* ---- segments ---- */

static void segments_go_back_with_an_abort(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    s.segments[0].now.rows = 5;
    s.segments[0].now.last_key = xstrdup("k5");
    table_state_segment_recorded(&s, 0);
    assert_true(table_state_committed(&s, 42, NULL));
    assert_int_equal(s.segments[0].progress_ms, 42);
    assert_int_equal(s.segments[1].progress_ms, 0);
    s.segments[0].now.rows = 9;
    s.segments[0].now.done = true;
    free(TAKE(s.segments[0].now.last_key));
    table_state_segment_recorded(&s, 0);
    s.segments[1].now.done = true;
    table_state_segment_recorded(&s, 1);
    assert_true(table_state_all_scanned(&s));
    table_state_aborted(&s, NULL);
    assert_false(table_state_all_scanned(&s));
    assert_int_equal(s.segments_done, 0);
    assert_int_equal(s.segments[0].now.rows, 5);
    assert_string_equal(s.segments[0].now.last_key, "k5");
    assert_false(table_state_committed(&s, 43, NULL));
    table_state_release(&s, NULL);
}

static void loaded_records_of_another_generation_are_dropped(void **state)
{
    struct ledger_segment old = {.generation = 1, .segment = 0, .done = true};
    struct ledger_segment own = {.generation = 2, .segment = 1, .done = true};
    struct ledger_segment none = {.generation = 2, .segment = 9, .done = true};
    struct ledger_shard old_shard = shard(1, "old", ""), own_shard = shard(2, "own", "");
    struct table_state s;

    (void)state;
    state_of(&s, 2, PHASE_SNAPSHOT);
    table_state_resume(&s, NULL);
    table_state_load_segment(&s, &old);
    table_state_load_segment(&s, &own);
    table_state_load_segment(&s, &none);
    table_state_load_shard(&s, &old_shard);
    table_state_load_shard(&s, &own_shard);
    table_state_loaded(&s);
    assert_int_equal(s.segments_done, 1);
    assert_true(s.segments[1].now.done);
    assert_null(shard_tree_find(&s.tree, "old"));
    assert_non_null(shard_tree_find(&s.tree, "own"));
    assert_int_equal(s.tree.unrecorded, 0);
    assert_false(s.tree.listed); /* of this life no listing came yet */
    table_state_release(&s, NULL);
}

static void segments_are_forgotten_two_days_after_the_snapshot_and_once(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    assert_false(table_state_segments_forgettable(&s, NOW + 100 * HOUR));
    s.now.phase = PHASE_TAIL;
    s.now.finished_ms = NOW;
    table_state_recorded(&s);
    assert_false(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    table_state_committed(&s, 1, NULL);
    assert_false(table_state_segments_forgettable(&s, NOW + 47 * HOUR));
    assert_true(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    s.segments_forgotten = true;
    assert_false(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    table_state_aborted(&s, NULL);
    assert_true(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    s.segments_forgotten = true;
    table_state_committed(&s, 1, NULL);
    table_state_aborted(&s, NULL);
    assert_false(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    table_state_resume(&s, NULL); /* and the ledger has none */
    assert_false(table_state_segments_forgettable(&s, NOW + 49 * HOUR));
    table_state_release(&s, NULL);
}

/* ---- shards ---- */

static void a_shard_found_since_the_begin_is_recorded_again_after_an_abort(void **state)
{
    struct ledger_shard child = shard(1, "b", "a");
    struct table_state s;
    struct tree_shard *b;

    (void)state;
    begun(&s);
    child.adopted = false;
    b = shard_tree_add(&s.tree, &child);
    shard_tree_link(&s.tree);
    shard_recorded(&s.tree, b);
    table_state_aborted(&s, NULL);
    assert_ptr_equal(shard_tree_unrecorded(&s.tree), b);
    shard_recorded(&s.tree, b);
    assert_true(table_state_committed(&s, 3, NULL));
    assert_null(shard_tree_unrecorded(&s.tree));
    table_state_release(&s, NULL);
}

/* Neighbours of one ledger partition share its transactions. */
static void a_commit_that_held_nothing_of_the_table_is_none_of_its_progress(void **state)
{
    struct table_state s;

    (void)state;
    begun(&s);
    assert_false(table_state_committed(&s, 99, NULL));
    assert_int_equal(shard_tree_find(&s.tree, "a")->progress_ms, 1);
    table_state_release(&s, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_that_an_abort_took_back_leaves_nothing),
        cmocka_unit_test(a_committed_generation_stays_over_an_abort),
        cmocka_unit_test(the_shards_of_a_begin_are_its_first_records),
        cmocka_unit_test(begin_offsets_that_an_abort_took_back_are_not_there),
        cmocka_unit_test(the_end_of_a_stop_is_due_until_it_is_committed),
        cmocka_unit_test(what_the_ledger_says_already_is_not_due),
        cmocka_unit_test(segments_go_back_with_an_abort),
        cmocka_unit_test(loaded_records_of_another_generation_are_dropped),
        cmocka_unit_test(segments_are_forgotten_two_days_after_the_snapshot_and_once),
        cmocka_unit_test(a_shard_found_since_the_begin_is_recorded_again_after_an_abort),
        cmocka_unit_test(a_commit_that_held_nothing_of_the_table_is_none_of_its_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

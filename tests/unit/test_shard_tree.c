/* tests/unit/test_shard_tree.c - which shards of a stream are read, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/shard_tree.h"

#define NOW 1700000000000LL
#define HOUR 3600000LL

static struct ddb_shard shard(const char *id, const char *parent, const char *ending)
{
    return (struct ddb_shard){(char *)id, (char *)parent, "1", (char *)ending};
}

#define STREAM(...)                                                                            \
    (struct ddb_stream)                                                                        \
    {                                                                                          \
        .arn = "arn", .status = "ENABLED", .view = "NEW_AND_OLD_IMAGES",                       \
        .shards = (struct ddb_shard[]){__VA_ARGS__},                                           \
        .shard_count = sizeof((struct ddb_shard[]){__VA_ARGS__}) / sizeof(struct ddb_shard),   \
    }

static struct shard_tree adopted(const struct ddb_stream *stream)
{
    struct shard_tree t = {0};

    shard_tree_adopt(&t, stream, 1, NOW, NULL);
    return t;
}

static bool is_ready(const struct shard_tree *t, const char *id)
{
    return shard_is_ready(t, shard_tree_find(t, id));
}

static void a_generation_reads_open_shards_and_not_the_closed_ones(void **state)
{
    struct ddb_stream stream = STREAM(shard("old", "gone", "9"), shard("open", "old", ""));
    struct shard_tree t = adopted(&stream);

    (void)state;
    assert_int_equal(shard_tree_find(&t, "old")->now.status, SHARD_NO_NEED);
    assert_int_equal(shard_tree_find(&t, "open")->now.status, SHARD_PREPARE);
    assert_int_equal(shard_tree_find(&t, "open")->now.complete_to_ms, NOW);
    assert_true(is_ready(&t, "open"));
    assert_false(is_ready(&t, "old"));
    assert_false(shard_tree_wants_children(
        &t)); /* the closed one was not read: its children were listed or open */
    shard_tree_release(&t, NULL);
}

static void a_child_is_read_after_its_parent_was_read_to_its_end(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("a2", "a1", ""), shard("a1", "a", "5"), shard("a", "", "3"));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    assert_int_equal(shard_tree_merge(&t, &after, 1, NOW + 1, &orphan), 2);
    assert_null(orphan);
    assert_int_equal(shard_tree_find(&t, "a1")->now.status, SHARD_WAIT_FATHER);
    assert_false(is_ready(&t, "a1")); /* closed already, but found later: it must be read */
    shard_finish(shard_tree_find(&t, "a"), NOW + 2);
    assert_true(is_ready(&t, "a1"));
    assert_false(is_ready(&t, "a2"));
    shard_finish(shard_tree_find(&t, "a1"), NOW + 3);
    assert_true(is_ready(&t, "a2"));
    shard_tree_release(&t, NULL);
}

static void a_child_begins_with_its_parents_completeness(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    shard_advance(shard_tree_find(&t, "a"), BYTES_LIT("3"), 1, NOW + 5000, NOW + 5100);
    shard_tree_merge(&t, &after, 1, NOW + HOUR, &orphan);
    assert_int_equal(shard_tree_find(&t, "b")->now.complete_to_ms, NOW + 5000);
    shard_tree_release(&t, NULL);
}

/* After a day's pause: the children are listed at once and read in their turn, hours later. */
static void a_child_that_waited_is_as_complete_as_its_parent_is_by_now(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("a", "", "3"), shard("b", "a", "6"), shard("c", "b", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    shard_tree_merge(&t, &after, 1, NOW + 20 * HOUR, &orphan);
    assert_int_equal(shard_tree_find(&t, "c")->now.complete_to_ms, NOW);
    shard_advance(shard_tree_find(&t, "a"), BYTES_LIT("3"), 1, NOW + 2 * HOUR, NOW);
    assert_int_equal(shard_complete_to(&t, shard_tree_find(&t, "c")), NOW + 2 * HOUR);
    assert_int_equal(shard_tree_complete_to(&t), NOW + 2 * HOUR);
    shard_finish(shard_tree_find(&t, "a"), NOW);
    shard_advance(shard_tree_find(&t, "b"), BYTES_LIT("6"), 1, NOW + 6 * HOUR, NOW);
    shard_finish(shard_tree_find(&t, "b"), NOW);
    assert_int_equal(shard_complete_to(&t, shard_tree_find(&t, "c")), NOW + 6 * HOUR);
    shard_tree_release(&t, NULL);
}

static void a_circle_in_the_ledger_is_no_endless_walk(void **state)
{
    struct ledger_shard x = {
        .id = xstrdup("x"), .parent = xstrdup("y"), .sequence = xstrdup("")};
    struct ledger_shard y = {
        .id = xstrdup("y"), .parent = xstrdup("x"), .sequence = xstrdup("")};
    struct shard_tree t = {0};

    (void)state;
    x.complete_to_ms = NOW;
    shard_tree_load(&t, &x);
    shard_tree_load(&t, &y);
    assert_int_equal(shard_complete_to(&t, shard_tree_find(&t, "y")), NOW);
    shard_tree_release(&t, NULL);
}

static void a_read_shard_without_a_child_asks_for_the_stream_again(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    assert_false(shard_tree_wants_children(&t));
    shard_finish(shard_tree_find(&t, "a"), NOW);
    assert_true(shard_tree_wants_children(&t));
    shard_tree_merge(&t, &after, 1, NOW, &orphan);
    assert_false(shard_tree_wants_children(&t));
    shard_tree_release(&t, NULL);
}

static void an_unknown_parent_is_named_and_its_child_not_read(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", ""), shard("z", "nobody", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    assert_int_equal(shard_tree_merge(&t, &after, 1, NOW, &orphan), 0);
    assert_string_equal(orphan, "z");
    assert_null(shard_tree_find(&t, "z"));
    shard_tree_release(&t, NULL);
}

static void parents_in_a_circle_end_as_orphans(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("x", "y", ""), shard("y", "x", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    assert_int_equal(shard_tree_merge(&t, &after, 1, NOW, &orphan), 0);
    assert_non_null(orphan);
    shard_tree_release(&t, NULL);
}

static void a_new_generation_keeps_positions_that_are_young_enough(void **state)
{
    struct ddb_stream stream = STREAM(shard("young", "", ""), shard("stale", "", ""));
    struct shard_tree old = adopted(&stream), t = {0};

    (void)state;
    shard_advance(shard_tree_find(&old, "young"), BYTES_LIT("17"), 1, NOW + 23 * HOUR, NOW);
    shard_advance(shard_tree_find(&old, "stale"), BYTES_LIT("17"), 1, NOW, NOW);
    shard_tree_committed(&old);
    shard_tree_adopt(&t, &stream, 2, NOW + 24 * HOUR, &old);
    assert_string_equal(shard_tree_find(&t, "young")->now.sequence, "17");
    assert_string_equal(shard_tree_find(&t, "stale")->now.sequence, "");
    shard_tree_release(&old, NULL);
    shard_tree_release(&t, NULL);
}

static void an_abort_goes_back_to_the_committed_positions(void **state)
{
    struct ddb_stream stream = STREAM(shard("a", "", ""));
    struct shard_tree t = adopted(&stream);
    struct tree_shard *a = shard_tree_find(&t, "a");

    (void)state;
    shard_advance(a, BYTES_LIT("5"), 5, NOW + 1, NOW + 1);
    shard_tree_committed(&t);
    shard_advance(a, BYTES_LIT("9"), 4, NOW + 2, NOW + 2);
    shard_finish(a, NOW + 2);
    shard_tree_aborted(&t);
    assert_string_equal(a->now.sequence, "5");
    assert_int_equal(a->now.records, 5);
    assert_int_equal(a->now.status, SHARD_IN_PROCESSING);
    assert_int_equal(a->now.complete_to_ms, NOW + 1);
    assert_ptr_equal(shard_tree_find(&t, "a"), a);
    shard_tree_release(&t, NULL);
}

static void a_done_shard_is_forgotten_after_two_days_with_its_children_known(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);
    const char *orphan;

    (void)state;
    shard_finish(shard_tree_find(&t, "a"), NOW);
    shard_tree_committed(&t);
    assert_null(shard_tree_forgettable(&t, NOW + 49 * HOUR));
    shard_tree_merge(&t, &after, 1, NOW, &orphan);
    assert_null(shard_tree_forgettable(&t, NOW + 47 * HOUR));
    assert_ptr_equal(shard_tree_forgettable(&t, NOW + 49 * HOUR), shard_tree_find(&t, "a"));
    shard_tree_remove(&t, shard_tree_find(&t, "a"), NULL);
    assert_true(is_ready(&t, "b"));
    shard_tree_release(&t, NULL);
}

static void the_oldest_completeness_is_of_what_is_not_finished(void **state)
{
    struct ddb_stream stream =
        STREAM(shard("a", "", ""), shard("b", "", ""), shard("c", "", "1"));
    struct shard_tree t = adopted(&stream);

    (void)state;
    shard_idle(shard_tree_find(&t, "a"), NOW + 10, NOW + 10);
    assert_int_equal(shard_tree_complete_to(&t), NOW);
    shard_finish(shard_tree_find(&t, "b"), NOW);
    assert_int_equal(shard_tree_complete_to(&t), NOW + 10);
    shard_finish(shard_tree_find(&t, "a"), NOW);
    assert_int_equal(shard_tree_complete_to(&t), INT64_MAX);
    shard_tree_release(&t, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_reads_open_shards_and_not_the_closed_ones),
        cmocka_unit_test(a_child_is_read_after_its_parent_was_read_to_its_end),
        cmocka_unit_test(a_child_begins_with_its_parents_completeness),
        cmocka_unit_test(a_child_that_waited_is_as_complete_as_its_parent_is_by_now),
        cmocka_unit_test(a_circle_in_the_ledger_is_no_endless_walk),
        cmocka_unit_test(a_read_shard_without_a_child_asks_for_the_stream_again),
        cmocka_unit_test(an_unknown_parent_is_named_and_its_child_not_read),
        cmocka_unit_test(parents_in_a_circle_end_as_orphans),
        cmocka_unit_test(a_new_generation_keeps_positions_that_are_young_enough),
        cmocka_unit_test(an_abort_goes_back_to_the_committed_positions),
        cmocka_unit_test(a_done_shard_is_forgotten_after_two_days_with_its_children_known),
        cmocka_unit_test(the_oldest_completeness_is_of_what_is_not_finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

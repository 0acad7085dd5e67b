/* tests/unit/test_shard_listing.c - what a late, partial or odd listing of shards means to a
 * generation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "producer/shard_listing.h"

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

    shard_listing_adopt(&t, stream, 1, NOW, NULL);
    return t;
}

static struct listing_result merge(struct shard_tree *t, const struct ddb_stream *stream,
                                   int64_t now_ms)
{
    struct listing_result found;

    shard_listing_merge(t, stream, true, 1, now_ms, &found);
    return found;
}

static void assert_open_ends(const struct listing_result *found, const char *orphan,
                             const char *stray, const char *reversed)
{
    const char *const got[] = {found->orphan, found->stray, found->reversed};
    const char *const wanted[] = {orphan, stray, reversed};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(got[i] == NULL, wanted[i] == NULL);
        if (wanted[i])
            assert_string_equal(got[i], wanted[i]);
    }
}

static enum shard_status status(const struct shard_tree *t, const char *id)
{
    const struct tree_shard *s = shard_tree_find(t, id);

    assert_non_null(s);
    return s->now.status;
}

static bool is_ready(const struct shard_tree *t, const char *id)
{
    return shard_is_ready(t, shard_tree_find(t, id));
}

static void record_all(struct shard_tree *t)
{
    struct tree_shard *s;

    while ((s = shard_tree_unrecorded(t)))
        shard_recorded(t, s);
}

static void finish(struct shard_tree *t, const char *id)
{
    shard_finish(t, shard_tree_find(t, id), NOW);
}

static void advance(struct shard_tree *t, const char *id, int64_t source_ms)
{
    shard_advance(t, shard_tree_find(t, id), BYTES_LIT("17"), 1, source_ms, NOW);
}

/* ---- the adoption ---- */

static void a_generation_reads_open_shards_and_not_the_closed_ones(void **state)
{
    struct ddb_stream stream = STREAM(shard("old", "gone", "9"), shard("open", "old", ""));
    struct shard_tree t = adopted(&stream);

    (void)state;
    assert_int_equal(status(&t, "old"), SHARD_NO_NEED);
    assert_int_equal(status(&t, "open"), SHARD_PREPARE);
    assert_true(shard_tree_find(&t, "open")->now.adopted);
    assert_true(shard_tree_find(&t, "old")->now.adopted);
    assert_int_equal(shard_tree_find(&t, "open")->now.complete_to_ms, NOW);
    assert_true(is_ready(&t, "open"));
    assert_false(is_ready(&t, "old"));
    assert_null(t.leaves); /* the closed one's child is listed: nothing is to be asked for */
    shard_tree_release(&t, NULL);
}

/* Pages are not of one moment. */
static void a_shard_that_is_listed_as_open_beside_its_child_needs_no_reading(void **state)
{
    struct ddb_stream stream =
        STREAM(shard("a", "", ""), shard("b", "a", "5"), shard("c", "b", ""));
    struct shard_tree t = adopted(&stream);

    (void)state;
    assert_int_equal(status(&t, "a"), SHARD_NO_NEED);
    assert_int_equal(status(&t, "b"), SHARD_NO_NEED);
    assert_false(is_ready(&t, "a"));
    assert_true(is_ready(&t, "c"));
    shard_tree_release(&t, NULL);
}

static void a_new_generation_keeps_positions_that_are_young_enough(void **state)
{
    struct ddb_stream stream = STREAM(shard("young", "", ""), shard("stale", "", ""));
    struct shard_tree old = adopted(&stream), t = {0};

    (void)state;
    advance(&old, "young", NOW + 23 * HOUR);
    advance(&old, "stale", NOW);
    shard_tree_committed(&old, 1, NULL);
    shard_listing_adopt(&t, &stream, 2, NOW + 24 * HOUR, &old);
    assert_string_equal(shard_tree_find(&t, "young")->now.sequence, "17");
    assert_string_equal(shard_tree_find(&t, "stale")->now.sequence, "");
    shard_tree_release(&old, NULL);
    shard_tree_release(&t, NULL);
}

/* ---- below what is read ---- */

static void a_child_of_a_shard_that_is_read_is_read_behind_it_closed_or_open(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("a2", "a1", ""), shard("a1", "a", "5"), shard("a", "", "3"));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW + 1);

    (void)state;
    assert_int_equal(found.added, 2);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "a1"), SHARD_WAIT_FATHER);
    assert_false(shard_tree_find(&t, "a1")->now.adopted);
    assert_false(is_ready(&t, "a1")); /* closed already, but found later: it must be read */
    assert_string_equal(shard_tree_unrecorded(&t)->now.id, "a"); /* parents first */
    finish(&t, "a");
    assert_string_equal(shard_tree_unrecorded(&t)->now.id, "a1");
    assert_true(is_ready(&t, "a1"));
    assert_false(is_ready(&t, "a2"));
    finish(&t, "a1");
    assert_true(is_ready(&t, "a2"));
    shard_tree_release(&t, NULL);
}

static void a_child_begins_with_its_parents_completeness(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);

    (void)state;
    advance(&t, "a", NOW + 5000);
    merge(&t, &after, NOW + HOUR);
    assert_int_equal(shard_tree_find(&t, "b")->now.complete_to_ms, NOW + 5000);
    shard_tree_release(&t, NULL);
}

/* A closed shard whose child the listing still lacked may not be read though: what it holds is
 * in the scan. */
static void a_late_child_of_a_closed_shard_of_the_adoption_is_read(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", "3"));
    struct ddb_stream after = STREAM(shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found;

    (void)state;
    assert_int_equal(t.leaf_count, 1);
    found = merge(&t, &after, NOW);
    assert_open_ends(&found, NULL, NULL, NULL);
    record_all(&t);
    assert_true(is_ready(&t, "b"));
    assert_int_equal(t.leaf_count, 0);
    shard_tree_release(&t, NULL);
}

/* ---- above the adoption ---- */

static void a_late_ancestor_of_a_shard_of_the_adoption_needs_no_reading(void **state)
{
    struct ddb_stream before = STREAM(shard("c", "b", ""));
    struct ddb_stream after =
        STREAM(shard("c", "b", ""), shard("b", "a", "5"), shard("a", "", "3"));
    struct shard_tree t = adopted(&before);
    struct listing_result found;

    (void)state;
    assert_true(is_ready(&t, "c"));
    advance(&t, "c", NOW); /* and it may be under way */
    found = merge(&t, &after, NOW);
    assert_int_equal(found.added, 2);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "a"), SHARD_NO_NEED);
    assert_int_equal(status(&t, "b"), SHARD_NO_NEED);
    assert_false(is_ready(&t, "a"));
    assert_false(is_ready(&t, "b"));
    assert_true(is_ready(&t, "c"));
    shard_tree_release(&t, NULL);
}

/* Its own parent is listed later than itself. */
static void late_ancestors_may_come_one_after_the_other(void **state)
{
    struct ddb_stream before = STREAM(shard("c", "b", ""));
    struct ddb_stream second = STREAM(shard("c", "b", ""), shard("b", "a", "5"));
    struct ddb_stream third =
        STREAM(shard("c", "b", ""), shard("b", "a", "5"), shard("a", "", "3"));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &second, NOW);

    (void)state;
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "b"), SHARD_NO_NEED);
    found = merge(&t, &third, NOW);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "a"), SHARD_NO_NEED);
    shard_tree_release(&t, NULL);
}

static void a_late_ancestors_other_child_is_read(void **state)
{
    struct ddb_stream before = STREAM(shard("c", "b", ""));
    struct ddb_stream after =
        STREAM(shard("b", "", "5"), shard("c", "b", ""), shard("d", "b", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "b"), SHARD_NO_NEED);
    assert_false(is_ready(&t, "d")); /* its parent's first record comes before its own */
    record_all(&t);
    assert_true(is_ready(&t, "d"));
    shard_tree_release(&t, NULL);
}

static void a_late_parent_of_a_shard_that_is_read_otherwise_is_a_gap(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("a", "", ""), shard("p", "", "3"), shard("b", "p", ""));
    struct shard_tree t = adopted(&before);
    struct ledger_shard b = {.generation = 1,
                             .id = xstrdup("b"),
                             .parent = xstrdup("p"),
                             .sequence = xstrdup("17"),
                             .status = SHARD_IN_PROCESSING};
    struct listing_result found;

    (void)state;
    shard_tree_load(&t, &b);
    found = merge(&t, &after, NOW);
    assert_string_equal(found.reversed, "b");
    shard_tree_release(&t, NULL);
}

static void a_late_parent_of_a_shard_that_still_waits_is_read_before_it(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("a", "", ""), shard("p", "", "3"), shard("b", "p", ""));
    struct shard_tree t = adopted(&before);
    struct ledger_shard b = {.generation = 1,
                             .id = xstrdup("b"),
                             .parent = xstrdup("p"),
                             .sequence = xstrdup(""),
                             .status = SHARD_WAIT_FATHER};
    struct listing_result found;

    (void)state;
    shard_tree_load(&t, &b);
    assert_false(is_ready(&t, "b"));
    found = merge(&t, &after, NOW);
    assert_null(found.reversed);
    assert_true(is_ready(&t, "p"));
    assert_false(is_ready(&t, "b"));
    finish(&t, "p");
    assert_true(is_ready(&t, "b"));
    shard_tree_release(&t, NULL);
}

/* ---- open ends ---- */

static void an_unknown_parent_is_named_and_its_child_not_read(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", ""), shard("z", "nobody", ""));
    struct ddb_stream at_last =
        STREAM(shard("a", "", ""), shard("z", "nobody", ""), shard("nobody", "", "3"));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_int_equal(found.added, 0);
    assert_open_ends(&found, "z", NULL, NULL);
    assert_null(shard_tree_find(&t, "z"));
    found = merge(&t, &at_last, NOW);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(found.added, 2);
    assert_false(is_ready(&t, "z"));
    assert_true(is_ready(&t, "nobody"));
    shard_tree_release(&t, NULL);
}

static void a_closed_shard_out_of_nowhere_waits_for_its_child(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("a", "", ""), shard("s", "", "3"));
    struct ddb_stream at_last =
        STREAM(shard("a", "", ""), shard("s", "", "3"), shard("s1", "s", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_open_ends(&found, NULL, "s", NULL);
    assert_null(shard_tree_find(&t, "s"));
    found = merge(&t, &at_last, NOW);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_true(is_ready(&t, "s"));
    assert_false(is_ready(&t, "s1"));
    shard_tree_release(&t, NULL);
}

static void a_closed_shard_out_of_nowhere_may_turn_out_to_be_above_the_adoption(void **state)
{
    struct ddb_stream before = STREAM(shard("c", "b", ""));
    struct ddb_stream after = STREAM(shard("c", "b", ""), shard("a", "", "3"));
    struct ddb_stream at_last =
        STREAM(shard("c", "b", ""), shard("a", "", "3"), shard("b", "a", "5"));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_open_ends(&found, NULL, "a", NULL);
    found = merge(&t, &at_last, NOW);
    assert_open_ends(&found, NULL, NULL, NULL);
    assert_int_equal(status(&t, "a"), SHARD_NO_NEED);
    assert_int_equal(status(&t, "b"), SHARD_NO_NEED);
    shard_tree_release(&t, NULL);
}

static void parents_in_a_circle_end_as_orphans(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after = STREAM(shard("x", "y", ""), shard("y", "x", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_int_equal(found.added, 0);
    assert_non_null(found.orphan);
    shard_tree_release(&t, NULL);
}

static void a_shard_that_is_listed_twice_is_one(void **state)
{
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct ddb_stream after =
        STREAM(shard("b", "a", ""), shard("a", "", "3"), shard("b", "a", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found = merge(&t, &after, NOW);

    (void)state;
    assert_int_equal(found.added, 1);
    assert_int_equal(shard_tree_count(&t), 2);
    shard_tree_release(&t, NULL);
}

static void only_a_whole_listing_says_what_is_not_there(void **state)
{
    struct ddb_stream children = STREAM(shard("b", "a", ""));
    struct ddb_stream before = STREAM(shard("a", "", ""));
    struct shard_tree t = adopted(&before);
    struct listing_result found;

    (void)state;
    shard_listing_merge(&t, &children, false, 1, NOW, &found);
    assert_int_equal(found.added, 1);
    assert_false(t.listed);
    shard_listing_merge(&t, &children, true, 1, NOW, &found);
    assert_true(t.listed);
    shard_listing_merge(&t, &children, false, 1, NOW, &found);
    assert_true(t.listed);
    shard_tree_release(&t, NULL);
}

/* ---- from when a shard without a parent may hold changes ---- */

static int64_t complete_to(const struct shard_tree *t, const char *id)
{
    return shard_complete_to(t, shard_tree_find(t, id));
}

/* A day without a listing: its oldest changes may be gone. */
static void
a_shard_without_a_parent_may_be_as_old_as_the_last_listing_that_lacked_it(void **state)
{
    struct ddb_stream first = STREAM(shard("a", "", ""));
    struct ddb_stream second = STREAM(shard("a", "", ""), shard("b", "", ""));
    struct ddb_stream third =
        STREAM(shard("a", "", ""), shard("b", "", ""), shard("c", "", ""), shard("d", "c", ""));
    struct shard_tree t = adopted(&first);

    (void)state;
    advance(&t, "a", NOW + 25 * HOUR);
    merge(&t, &second, NOW + 25 * HOUR);
    assert_int_equal(complete_to(&t, "b"), NOW);
    merge(&t, &third, NOW + 26 * HOUR);
    assert_int_equal(complete_to(&t, "c"), NOW + 25 * HOUR);
    assert_int_equal(complete_to(&t, "d"), NOW + 25 * HOUR);
    shard_tree_release(&t, NULL);
}

static void a_late_ancestor_makes_no_shard_younger(void **state)
{
    struct ddb_stream first = STREAM(shard("a", "above", ""));
    struct ddb_stream second = STREAM(shard("above", "", "9"), shard("a", "above", ""));
    struct shard_tree t = adopted(&first);

    (void)state;
    merge(&t, &second, NOW + 25 * HOUR);
    assert_int_equal(status(&t, "above"), SHARD_NO_NEED);
    assert_int_equal(complete_to(&t, "a"), NOW);
    shard_tree_release(&t, NULL);
}

static void load(struct shard_tree *t, const char *id, int64_t complete_to_ms)
{
    struct ledger_shard record = {.generation = 1,
                                  .id = xstrdup(id),
                                  .parent = xstrdup(""),
                                  .status = SHARD_IN_PROCESSING,
                                  .sequence = xstrdup("17"),
                                  .complete_to_ms = complete_to_ms};

    shard_tree_load(t, &record);
}

static void after_a_restart_it_may_be_as_old_as_what_is_read_least_far(void **state)
{
    struct ddb_stream stream =
        STREAM(shard("a", "", ""), shard("b", "", ""), shard("c", "", ""));
    struct shard_tree t = {0};

    (void)state;
    load(&t, "a", NOW + 3 * HOUR);
    load(&t, "b", NOW + 2 * HOUR);
    shard_tree_loaded(&t);
    advance(&t, "a", NOW + 30 * HOUR);
    advance(&t, "b", NOW + 30 * HOUR);
    merge(&t, &stream, NOW + 30 * HOUR);
    assert_int_equal(complete_to(&t, "c"), NOW + 2 * HOUR);
    shard_tree_release(&t, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_reads_open_shards_and_not_the_closed_ones),
        cmocka_unit_test(a_shard_that_is_listed_as_open_beside_its_child_needs_no_reading),
        cmocka_unit_test(a_new_generation_keeps_positions_that_are_young_enough),
        cmocka_unit_test(a_child_of_a_shard_that_is_read_is_read_behind_it_closed_or_open),
        cmocka_unit_test(a_child_begins_with_its_parents_completeness),
        cmocka_unit_test(a_late_child_of_a_closed_shard_of_the_adoption_is_read),
        cmocka_unit_test(a_late_ancestor_of_a_shard_of_the_adoption_needs_no_reading),
        cmocka_unit_test(late_ancestors_may_come_one_after_the_other),
        cmocka_unit_test(a_late_ancestors_other_child_is_read),
        cmocka_unit_test(a_late_parent_of_a_shard_that_is_read_otherwise_is_a_gap),
        cmocka_unit_test(a_late_parent_of_a_shard_that_still_waits_is_read_before_it),
        cmocka_unit_test(an_unknown_parent_is_named_and_its_child_not_read),
        cmocka_unit_test(a_closed_shard_out_of_nowhere_waits_for_its_child),
        cmocka_unit_test(a_closed_shard_out_of_nowhere_may_turn_out_to_be_above_the_adoption),
        cmocka_unit_test(parents_in_a_circle_end_as_orphans),
        cmocka_unit_test(a_shard_that_is_listed_twice_is_one),
        cmocka_unit_test(only_a_whole_listing_says_what_is_not_there),
        cmocka_unit_test(
            a_shard_without_a_parent_may_be_as_old_as_the_last_listing_that_lacked_it),
        cmocka_unit_test(a_late_ancestor_makes_no_shard_younger),
        cmocka_unit_test(after_a_restart_it_may_be_as_old_as_what_is_read_least_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

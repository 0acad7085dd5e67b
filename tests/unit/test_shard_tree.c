/* tests/unit/test_shard_tree.c - which shards of a stream are read, and when; what an abort
 * takes back of them. (Which shards there are: test_shard_listing.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "producer/shard_tree.h"

#define NOW 1700000000000LL
#define HOUR 3600000LL

static struct ledger_shard record(const char *id, const char *parent, enum shard_status status)
{
    return (struct ledger_shard){
        .generation = 1,
        .id = xstrdup(id),
        .parent = xstrdup(parent),
        .status = status,
        .sequence = xstrdup(""),
        .updated_ms = NOW,
        .complete_to_ms = NOW,
    };
}

static struct tree_shard *add(struct shard_tree *t, const char *id, const char *parent,
                              enum shard_status status)
{
    struct ledger_shard s = record(id, parent, status);
    struct tree_shard *added = shard_tree_add(t, &s);

    shard_tree_link(t);
    return added;
}

static struct tree_shard *add_adopted(struct shard_tree *t, const char *id, const char *parent,
                                      enum shard_status status)
{
    struct tree_shard *added = add(t, id, parent, status);

    added->now.adopted = true;
    return added;
}

static struct tree_shard *load(struct shard_tree *t, const char *id, const char *parent,
                               enum shard_status status)
{
    struct ledger_shard s = record(id, parent, status);

    shard_tree_load(t, &s);
    shard_tree_link(t);
    return shard_tree_find(t, id);
}

static void commit(struct shard_tree *t)
{
    struct tree_shard *s;

    while ((s = shard_tree_unrecorded(t)))
        shard_recorded(t, s);
    shard_tree_committed(t, 1, NULL);
}

/* ---- which may be read ---- */

static void a_child_is_read_after_its_parent_was_read_to_its_end(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);
    struct tree_shard *a1 = add(&t, "a1", "a", SHARD_WAIT_FATHER);
    struct tree_shard *a2 = add(&t, "a2", "a1", SHARD_WAIT_FATHER);

    (void)state;
    assert_true(shard_is_ready(&t, a));
    assert_false(shard_is_ready(&t, a1));
    shard_finish(&t, a, NOW + 2);
    assert_true(shard_is_ready(&t, a1));
    assert_false(shard_is_ready(&t, a2));
    shard_finish(&t, a1, NOW + 3);
    assert_true(shard_is_ready(&t, a2));
    assert_false(shard_is_ready(&t, a)); /* it was read */
    shard_tree_release(&t, NULL);
}

static void a_shard_of_the_adoption_is_read_whatever_stands_above_it(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *unknown = add_adopted(&t, "b", "not listed", SHARD_PREPARE);
    struct tree_shard *closed = add_adopted(&t, "c", "", SHARD_NO_NEED);
    struct tree_shard *below = add_adopted(&t, "d", "c", SHARD_PREPARE);

    (void)state;
    assert_true(shard_is_ready(&t, unknown));
    assert_true(shard_is_ready(&t, below));
    assert_false(shard_is_ready(&t, closed));
    shard_tree_release(&t, NULL);
}

/* A closed shard is listed as open when one page was older than the next: its child too. */
static void of_two_shards_of_the_adoption_the_child_is_read_last(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);
    struct tree_shard *b = add_adopted(&t, "b", "a", SHARD_PREPARE);

    (void)state;
    assert_false(shard_is_ready(&t, b));
    shard_finish(&t, a, NOW);
    assert_true(shard_is_ready(&t, b));
    shard_tree_release(&t, NULL);
}

static void any_other_waits_for_a_whole_listing_when_its_parent_is_not_known(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *child = load(&t, "b", "lost", SHARD_WAIT_FATHER);
    struct tree_shard *root = load(&t, "r", "", SHARD_NOT_PROCESS);

    (void)state;
    assert_false(shard_is_ready(&t, child));
    assert_true(shard_is_ready(&t, root));
    t.listed = true;
    assert_true(shard_is_ready(&t, child));
    shard_tree_release(&t, NULL);
}

/* Its parent needed no reading, and was found with it. */
static void a_child_is_not_read_before_its_parents_first_record(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add(&t, "a", "", SHARD_NO_NEED);
    struct tree_shard *b = add(&t, "b", "a", SHARD_WAIT_FATHER);

    (void)state;
    assert_false(shard_is_ready(&t, b));
    shard_recorded(&t, a);
    assert_true(shard_is_ready(&t, b));
    shard_tree_aborted(&t);
    assert_false(shard_is_ready(&t, b));
    shard_tree_release(&t, NULL);
}

static void a_circle_in_the_ledger_is_no_endless_walk(void **state)
{
    struct shard_tree t = {0};

    (void)state;
    load(&t, "x", "y", SHARD_PREPARE);
    load(&t, "y", "x", SHARD_PREPARE);
    assert_int_equal(shard_complete_to(&t, shard_tree_find(&t, "y")), NOW);
    shard_tree_release(&t, NULL);
}

/* ---- completeness ---- */

/* After a day's pause: the children are listed at once and read in their turn, hours later. */
static void a_child_that_waited_is_as_complete_as_its_parent_is_by_now(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);
    struct tree_shard *b = add(&t, "b", "a", SHARD_WAIT_FATHER);
    struct tree_shard *c = add(&t, "c", "b", SHARD_WAIT_FATHER);

    (void)state;
    shard_advance(&t, a, BYTES_LIT("3"), 1, NOW + 2 * HOUR, NOW);
    assert_int_equal(shard_complete_to(&t, c), NOW + 2 * HOUR);
    shard_finish(&t, a, NOW);
    shard_advance(&t, b, BYTES_LIT("6"), 1, NOW + 6 * HOUR, NOW);
    shard_finish(&t, b, NOW);
    assert_int_equal(shard_complete_to(&t, c), NOW + 6 * HOUR);
    shard_tree_release(&t, NULL);
}

static void the_nearest_to_trimming_are_of_what_is_not_finished(void **state)
{
    struct shard_tree t = {0};
    struct shard_nearest nearest[2];
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);
    struct tree_shard *b = add_adopted(&t, "b", "", SHARD_PREPARE);

    (void)state;
    add_adopted(&t, "c", "", SHARD_NO_NEED);
    shard_idle(&t, a, NOW + 10, NOW + 10);
    assert_int_equal(shard_tree_nearest(&t, nearest, 2), 2);
    assert_ptr_equal(nearest[0].shard, b);
    assert_int_equal(nearest[0].complete_to_ms, NOW);
    assert_ptr_equal(nearest[1].shard, a);
    assert_int_equal(nearest[1].complete_to_ms, NOW + 10);
    shard_finish(&t, b, NOW);
    assert_int_equal(shard_tree_nearest(&t, nearest, 2), 1);
    assert_ptr_equal(nearest[0].shard, a);
    shard_finish(&t, a, NOW);
    assert_int_equal(shard_tree_nearest(&t, nearest, 2), 0);
    shard_tree_release(&t, NULL);
}

static void of_many_shards_the_nearest_to_trimming_are_given_in_order(void **state)
{
    struct shard_tree t = {0};
    struct shard_nearest nearest[10];
    struct tree_shard *shards[50];
    char id[8];

    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "s%d", i);
        shards[i] = add_adopted(&t, id, "", SHARD_PREPARE);
    }
    for (int i = 0; i < 50; i++) /* 17 and 50 have no common divisor: each age once */
        shard_idle(&t, shards[i], NOW + 1 + i * 17 % 50, NOW);
    assert_int_equal(shard_tree_nearest(&t, nearest, 10), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(nearest[i].complete_to_ms, NOW + 1 + i);
    shard_tree_release(&t, NULL);
}

/* ---- lists ---- */

static void a_read_shard_without_a_child_is_a_leaf_until_one_is_known(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);

    (void)state;
    assert_int_equal(a->list, TREE_LIST_LIVE);
    assert_int_equal(t.leaf_count, 0);
    shard_finish(&t, a, NOW);
    assert_ptr_equal(t.leaves, a);
    assert_null(t.live);
    assert_int_equal(t.leaf_count, 1);
    shard_tree_aborted(&t);
    assert_ptr_equal(t.live, a);
    assert_int_equal(t.leaf_count, 0);
    shard_finish(&t, a, NOW);
    add(&t, "b", "a", SHARD_WAIT_FATHER);
    assert_null(t.leaves);
    assert_int_equal(t.leaf_count, 0);
    assert_string_equal(t.live->now.id, "b");
    shard_tree_release(&t, NULL);
}

/* ---- commit and abort ---- */

static void an_abort_goes_back_to_the_committed_positions(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);

    (void)state;
    shard_advance(&t, a, BYTES_LIT("5"), 5, NOW + 1, NOW + 1);
    assert_true(shard_tree_committed(&t, 77, NULL));
    assert_int_equal(a->progress_ms, 77);
    shard_advance(&t, a, BYTES_LIT("9"), 4, NOW + 2, NOW + 2);
    shard_finish(&t, a, NOW + 2);
    shard_tree_aborted(&t);
    assert_string_equal(a->now.sequence, "5");
    assert_int_equal(a->now.records, 5);
    assert_int_equal(a->now.status, SHARD_IN_PROCESSING);
    assert_int_equal(a->now.complete_to_ms, NOW + 1);
    assert_ptr_equal(shard_tree_find(&t, "a"), a);
    assert_false(shard_tree_committed(&t, 78, NULL)); /* nothing is left of it */
    assert_int_equal(a->progress_ms, 77);
    shard_tree_release(&t, NULL);
}

static void a_first_record_that_an_abort_took_back_is_due_again(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add(&t, "a", "", SHARD_NOT_PROCESS);
    struct tree_shard *b = add(&t, "b", "a", SHARD_WAIT_FATHER);

    (void)state;
    assert_ptr_equal(shard_tree_unrecorded(&t), a);
    shard_recorded(&t, a);
    assert_ptr_equal(shard_tree_unrecorded(&t), b); /* behind its parent's */
    shard_recorded(&t, b);
    assert_null(shard_tree_unrecorded(&t));
    shard_tree_aborted(&t);
    assert_int_equal(t.unrecorded, 2);
    assert_ptr_equal(shard_tree_unrecorded(&t), a);
    shard_recorded(&t, a);
    shard_tree_committed(&t, 1, NULL);
    shard_recorded(&t, b);
    shard_tree_aborted(&t);
    assert_int_equal(t.unrecorded, 1);
    assert_ptr_equal(shard_tree_unrecorded(&t), b); /* a's is committed */
    shard_tree_release(&t, NULL);
}

/* Its reader was the first to write of it. */
static void a_record_with_a_position_is_a_first_record_too(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add(&t, "a", "", SHARD_NOT_PROCESS);

    (void)state;
    shard_advance(&t, a, BYTES_LIT("5"), 1, NOW, NOW);
    assert_null(shard_tree_unrecorded(&t));
    shard_tree_aborted(&t);
    assert_ptr_equal(shard_tree_unrecorded(&t), a);
    shard_finish(&t, a, NOW);
    assert_null(shard_tree_unrecorded(&t));
    shard_tree_committed(&t, 1, NULL);
    assert_null(shard_tree_unrecorded(&t));
    shard_tree_release(&t, NULL);
}

/* ---- tombstones ---- */

static void a_done_shard_is_forgotten_after_two_days_with_its_children_recorded(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE), *b;

    (void)state;
    shard_finish(&t, a, NOW);
    commit(&t);
    assert_null(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR)); /* its child is to come */
    b = add(&t, "b", "a", SHARD_WAIT_FATHER);
    assert_null(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR));
    shard_recorded(&t, b);
    assert_null(
        shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR)); /* appended is not committed */
    shard_tree_committed(&t, 1, NULL);
    assert_null(shard_tree_forgettable(&t, NULL, NOW + 47 * HOUR));
    assert_ptr_equal(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR), a);
    shard_tree_release(&t, NULL);
}

static void a_forgotten_shard_leaves_with_the_commit_of_its_tombstone(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_PREPARE);
    struct tree_shard *b = add(&t, "b", "a", SHARD_WAIT_FATHER);

    (void)state;
    shard_finish(&t, a, NOW);
    commit(&t);
    shard_forgotten(&t, a);
    assert_null(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR));
    shard_tree_aborted(&t);
    assert_ptr_equal(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR), a);
    shard_forgotten(&t, a);
    assert_ptr_equal(shard_tree_find(&t, "a"), a);
    shard_tree_committed(&t, 1, NULL);
    assert_null(shard_tree_find(&t, "a"));
    assert_int_equal(shard_tree_count(&t), 1);
    assert_null(b->parent);
    t.listed = true;
    assert_true(shard_is_ready(&t, b));
    shard_tree_release(&t, NULL);
}

static void a_shard_that_needed_no_reading_is_forgotten_without_a_child(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *a = add_adopted(&t, "a", "", SHARD_NO_NEED);

    (void)state;
    commit(&t);
    assert_null(shard_tree_forgettable(&t, NULL, NOW + 47 * HOUR));
    assert_ptr_equal(shard_tree_forgettable(&t, NULL, NOW + 49 * HOUR), a);
    shard_tree_release(&t, NULL);
}

/* A child has its parent's time until something is known of itself; a child that was adopted
 * has the begin of the copy, which holds what is older. */
static void what_is_read_of_a_child_takes_the_place_of_its_parents_time(void **state)
{
    struct shard_tree t = {0};
    struct tree_shard *child = add(&t, "child", "", SHARD_WAIT_FATHER);
    struct tree_shard *adopted = add_adopted(&t, "adopted", "", SHARD_PREPARE);

    (void)state;
    shard_advance(&t, child, BYTES_LIT("3"), 1, NOW - HOUR, NOW);
    shard_advance(&t, adopted, BYTES_LIT("4"), 1, NOW - HOUR, NOW);
    assert_int_equal(child->now.complete_to_ms, NOW - HOUR);
    assert_int_equal(adopted->now.complete_to_ms, NOW);
    shard_idle(&t, child, NOW + 5, NOW);
    shard_advance(&t, child, BYTES_LIT("5"), 1, NOW + 1, NOW);
    assert_int_equal(child->now.complete_to_ms, NOW + 5);
    shard_tree_release(&t, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_of_a_child_takes_the_place_of_its_parents_time),
        cmocka_unit_test(a_child_is_read_after_its_parent_was_read_to_its_end),
        cmocka_unit_test(a_shard_of_the_adoption_is_read_whatever_stands_above_it),
        cmocka_unit_test(of_two_shards_of_the_adoption_the_child_is_read_last),
        cmocka_unit_test(any_other_waits_for_a_whole_listing_when_its_parent_is_not_known),
        cmocka_unit_test(a_child_is_not_read_before_its_parents_first_record),
        cmocka_unit_test(a_circle_in_the_ledger_is_no_endless_walk),
        cmocka_unit_test(a_child_that_waited_is_as_complete_as_its_parent_is_by_now),
        cmocka_unit_test(the_nearest_to_trimming_are_of_what_is_not_finished),
        cmocka_unit_test(of_many_shards_the_nearest_to_trimming_are_given_in_order),
        cmocka_unit_test(a_read_shard_without_a_child_is_a_leaf_until_one_is_known),
        cmocka_unit_test(an_abort_goes_back_to_the_committed_positions),
        cmocka_unit_test(a_first_record_that_an_abort_took_back_is_due_again),
        cmocka_unit_test(a_record_with_a_position_is_a_first_record_too),
        cmocka_unit_test(a_done_shard_is_forgotten_after_two_days_with_its_children_recorded),
        cmocka_unit_test(a_forgotten_shard_leaves_with_the_commit_of_its_tombstone),
        cmocka_unit_test(a_shard_that_needed_no_reading_is_forgotten_without_a_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_table_model.c - whatever a table's listings, transactions and programs do, in
 * every order: the last record of each item is the source's value, and no change stands behind
 * a later one.
 *
 * The rules are compiled in here, so that one at a time can be broken: the search has to find
 * what follows from that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mutation.h"

static const char *broken_rule = "";
#undef MUTATED
#define MUTATED(name) (strcmp(broken_rule, #name) == 0)

#include "producer/shard_listing.c"
#include "producer/shard_tree.c"
#include "producer/table_state.c"
#include "support_table_model.h"

#define WRITE(shard, item)                                                                     \
    {                                                                                          \
        MODEL_WRITE, shard, item                                                               \
    }
#define ROLL(shard)                                                                            \
    {                                                                                          \
        MODEL_ROLL, shard, 0                                                                   \
    }

/* s0 - s1 - s2: one item, written in each. */
static const struct model_case chain = {
    .shards = 3,
    .parent = {-1, 0, 1},
    .items = 1,
    .script = {WRITE(0, 0), ROLL(0), WRITE(1, 0), ROLL(1), WRITE(2, 0)},
    .never_stale = true,
};

/* One more, with nothing in it but between. */
static const struct model_case long_chain = {
    .shards = 4,
    .parent = {-1, 0, 1, 2},
    .items = 1,
    .script = {WRITE(0, 0), ROLL(0), ROLL(1), WRITE(2, 0), ROLL(2), WRITE(3, 0)},
    .never_stale = true,
};

/* s0 becomes s1 and s2. */
static const struct model_case split = {
    .shards = 3,
    .parent = {-1, 0, 0},
    .items = 1,
    .script = {WRITE(0, 0), ROLL(0), WRITE(2, 0)},
    .never_stale = true,
};

/* And s2 becomes s3; an item on each side. */
static const struct model_case large_split = {
    .shards = 4,
    .parent = {-1, 0, 0, 2},
    .items = 2,
    .script = {WRITE(0, 0), WRITE(0, 1), ROLL(0), WRITE(2, 1), ROLL(2), WRITE(3, 1)},
    .never_stale = true,
};

static void holds(const struct model_case *c)
{
    struct model_outcome o;

    broken_rule = "";
    o = table_model_run(c, true);
    assert_false(o.wrong);
    assert_false(o.false_gap);
    assert_true(o.ends > 0);
}

static void fails(const struct model_case *c, const char *rule)
{
    struct model_outcome o;

    broken_rule = rule;
    o = table_model_run(c, false);
    broken_rule = "";
    assert_true(o.wrong);
}

/* The order may be wrong until the gap is known. */
static void ends_right_or_in_a_gap(const struct model_case *c)
{
    struct model_outcome o;

    broken_rule = "";
    o = table_model_run(c, true);
    assert_false(o.wrong);
    assert_true(o.ends > 0);
}

/* These take a minute. */
static void only_in_campaigns(void)
{
    if (!getenv("DYNAFERRY_TABLE_MODEL"))
        skip();
}

static void a_lineage_ends_right_when_one_listing_lies_and_one_transaction_is_lost(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 3;
    c.lies = 1;
    c.faults = 1;
    holds(&c);
}

static void a_lineage_ends_right_when_two_listings_lie(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 3;
    c.lies = 2;
    holds(&c);
}

static void a_lineage_ends_right_when_a_transaction_is_lost(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 2;
    c.faults = 1;
    holds(&c);
}

static void a_lineage_ends_right_with_its_tables_record(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.shards = 1;
    c.script[1].kind = MODEL_END;
    c.records = true;
    c.faults = 2;
    holds(&c);
}

/* In the transaction of the snapshot's end, before and behind it, and in others. */
static const struct model_case paused = {
    .shards = 1,
    .parent = {-1},
    .items = 1,
    .script = {WRITE(0, 0)},
    .never_stale = true,
    .records = true,
    .pauses = 1,
};

static void
a_table_that_is_paused_as_its_snapshot_ends_is_paused_and_goes_on_behind_it(void **state)
{
    struct model_case c = paused;

    (void)state;
    c.faults = 2;
    holds(&c);
    c.faults = 1;
    c.pauses = 2;
    holds(&c);
}

static void a_pause_that_the_end_of_the_snapshot_ends_is_found(void **state)
{
    (void)state;
    fails(&paused, "pause_at_end");
}

static void a_lineage_ends_right_when_its_first_shards_are_forgotten(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 3;
    c.days = 1;
    c.faults = 1;
    holds(&c);
}

static void a_lineage_ends_right_when_the_ledger_gives_children_first(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 2;
    c.faults = 1;
    c.backwards = true;
    holds(&c);
}

static void a_split_ends_right_when_a_listing_lies(void **state)
{
    struct model_case c = split;

    (void)state;
    c.lies = 1;
    holds(&c);
}

static void a_split_ends_right_when_a_transaction_is_lost(void **state)
{
    struct model_case c = split;

    (void)state;
    c.faults = 1;
    holds(&c);
}

static void a_lineage_ends_right_when_shards_are_listed_over_two_pages(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.first_page = 1;
    holds(&c);
}

/* s0 is listed as open, and s1 not at all, with s2: what the scan holds of s0 is read beside
 * s2. That shows when s1 is listed. */
static void a_lineage_with_a_closed_shard_listed_as_open_ends_right_or_in_a_gap(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 2;
    c.lies = 1;
    c.never_stale = false;
    c.gap_ends = true;
    ends_right_or_in_a_gap(&c);
}

static void
a_lineage_ends_right_when_listings_lie_and_a_transaction_is_lost_at_any_time(void **state)
{
    struct model_case c = chain;

    (void)state;
    only_in_campaigns();
    c.lies = 2;
    c.faults = 1;
    holds(&c);
}

static void a_lineage_ends_right_when_two_transactions_are_lost(void **state)
{
    struct model_case c = chain;

    (void)state;
    only_in_campaigns();
    c.faults = 2;
    c.days = 1;
    holds(&c);
}

static void a_longer_lineage_ends_right_when_two_listings_lie(void **state)
{
    struct model_case c = long_chain;

    (void)state;
    only_in_campaigns();
    c.lies = 2;
    holds(&c);
}

static void a_lineage_that_rolls_twice_between_two_pages_ends_right_or_in_a_gap(void **state)
{
    struct model_case c = long_chain;

    (void)state;
    only_in_campaigns();
    c.first_page = 2;
    c.gap_ends = true;
    ends_right_or_in_a_gap(&c);
}

static void a_larger_split_ends_right_when_a_listing_lies(void **state)
{
    struct model_case c = large_split;

    (void)state;
    only_in_campaigns();
    c.lies = 1;
    holds(&c);
}

static void a_larger_split_ends_right_when_a_transaction_is_lost(void **state)
{
    struct model_case c = large_split;

    (void)state;
    only_in_campaigns();
    c.faults = 1;
    holds(&c);
}

static void a_first_record_that_is_not_taken_back_is_found(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.begun = 1;
    c.faults = 2;
    fails(&c, "recorded");
}

static void a_late_parent_that_is_read_is_found(void **state)
{
    struct model_case c = chain;

    (void)state;
    c.lies = 1;
    fails(&c, "late_parent");
}

static void a_child_that_is_read_before_its_parent_is_found(void **state)
{
    struct model_case c = chain;

    (void)state;
    fails(&c, "parent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_lineage_ends_right_when_one_listing_lies_and_one_transaction_is_lost),
        cmocka_unit_test(a_lineage_ends_right_when_two_listings_lie),
        cmocka_unit_test(a_lineage_ends_right_when_a_transaction_is_lost),
        cmocka_unit_test(a_lineage_ends_right_with_its_tables_record),
        cmocka_unit_test(a_lineage_ends_right_when_its_first_shards_are_forgotten),
        cmocka_unit_test(a_lineage_ends_right_when_the_ledger_gives_children_first),
        cmocka_unit_test(a_split_ends_right_when_a_listing_lies),
        cmocka_unit_test(a_split_ends_right_when_a_transaction_is_lost),
        cmocka_unit_test(a_lineage_ends_right_when_shards_are_listed_over_two_pages),
        cmocka_unit_test(a_lineage_with_a_closed_shard_listed_as_open_ends_right_or_in_a_gap),
        cmocka_unit_test(
            a_lineage_ends_right_when_listings_lie_and_a_transaction_is_lost_at_any_time),
        cmocka_unit_test(a_lineage_ends_right_when_two_transactions_are_lost),
        cmocka_unit_test(a_longer_lineage_ends_right_when_two_listings_lie),
        cmocka_unit_test(a_lineage_that_rolls_twice_between_two_pages_ends_right_or_in_a_gap),
        cmocka_unit_test(a_larger_split_ends_right_when_a_listing_lies),
        cmocka_unit_test(a_larger_split_ends_right_when_a_transaction_is_lost),
        cmocka_unit_test(
            a_table_that_is_paused_as_its_snapshot_ends_is_paused_and_goes_on_behind_it),
        cmocka_unit_test(a_pause_that_the_end_of_the_snapshot_ends_is_found),
        cmocka_unit_test(a_first_record_that_is_not_taken_back_is_found),
        cmocka_unit_test(a_late_parent_that_is_read_is_found),
        cmocka_unit_test(a_child_that_is_read_before_its_parent_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

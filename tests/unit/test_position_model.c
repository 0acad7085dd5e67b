/* tests/unit/test_position_model.c - positions: every order of small cases.
 *
 * The life of an owner in the model (support_owners.h):
 *
 *              assigned             takes it             it is mine
 *    RESTING ------------> WAITING ----------> TAKING ----------------> RUNNING
 *       ^                     ^                  |                      |  |  ^
 *       |                     '------------------'              revoked |  |  |
 *       |                      another was faster                       |  |  |
 *       | goodbye stored                                                |  |  |
 *       |<----------------- LEAVING <-----------------------------------'  |  |
 *       |                    |   ^                        no clear answer  |  | mine, or
 *       |    no clear answer |   | revoked       .-------------------------'  | set back to
 *       |                    |   |               v                            | the mark
 *       | mark stored        v   '------------ HELD --reads the document------+
 *       '----------------- MARKING <--------------------- another's, or gone -'
 *
 * HELD waits for the end of its own writes before it reads the document; when it is revoked
 * while one may still come, it goes to MARKING without a goodbye. Setting back is a state too,
 * REWINDING, which without a clear answer is HELD again. A killed owner is DEAD, and what it
 * sent may still come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support_position_model.h"

static const struct position_case two = {
    .consumers = 2, .log_len = 2, .faults = 1, .ends = 1, .moves = 1, .batch_max = 2};

static void holds(const struct position_case *c)
{
    struct position_outcome o = position_model_run(c, &(struct position_former){0});

    assert_true(o.ends > 0);
    assert_false(o.strayed);
    assert_false(o.wrong);
}

static void ends_wrong(const struct position_case *c, struct position_former former)
{
    assert_true(position_model_run(c, &former).wrong);
}

static void two_consumers_end_right_whatever_answer_is_missing(void **state)
{
    (void)state;
    holds(&two);
}

static void two_consumers_end_right_when_two_answers_are_missing(void **state)
{
    struct position_case c = two;

    (void)state;
    c.faults = 2;
    c.ends = 0;
    holds(&c);
}

static void two_consumers_end_right_when_one_takes_over_before_it_is_told(void **state)
{
    struct position_case c = two;

    (void)state;
    c.undecided = 1;
    c.ends = 0;
    holds(&c);
}

static void two_consumers_end_right_when_a_partition_comes_back(void **state)
{
    struct position_case c = two;

    (void)state;
    c.moves = 2;
    c.told = true;
    holds(&c);
}

static void two_consumers_end_right_with_batches_of_several_keys(void **state)
{
    struct position_case c = two;

    (void)state;
    c.log_len = c.batch_max = 3;
    c.ends = 0;
    c.at_once = true;
    holds(&c);
}

static void three_consumers_end_right(void **state)
{
    struct position_case c = {.consumers = 3,
                              .log_len = 2,
                              .ends = 0,
                              .moves = 2,
                              .batch_max = 2,
                              .told = true,
                              .at_once = true};

    (void)state;
    holds(&c);
}

static void without_marks_a_late_write_stays(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.no_marks = true});
}

static void without_applying_again_a_killed_consumers_write_stays(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.no_again = true});
}

static void one_that_takes_again_what_is_not_its_own_strays(void **state)
{
    (void)state;
    assert_true(position_model_run(&two, &(struct position_former){.stray = true}).strayed);
}

static void a_rewind_without_an_answer_must_not_be_forgotten(void **state)
{
    struct position_case c = two;

    (void)state;
    c.ends = 0;
    ends_wrong(&c, (struct position_former){.memory = true});
}

static void a_move_without_an_answer_must_not_be_forgotten(void **state)
{
    struct position_case c = two;

    (void)state;
    c.moves = 0;
    ends_wrong(&c, (struct position_former){.memory = true});
}

/* Between its reading and its storing the owner may have gone back for a mark. */
static void taking_over_must_compare_the_offset(void **state)
{
    struct position_case c = {.consumers = 3,
                              .log_len = 2,
                              .moves = 2,
                              .batch_max = 1,
                              .told = true,
                              .at_once = true};

    (void)state;
    ends_wrong(&c, (struct position_former){.blind_take = true});
}

static void a_held_partition_must_not_be_left_with_a_goodbye(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.goodbye_held = true});
}

static void a_goodbye_without_an_answer_must_be_followed_by_the_mark(void **state)
{
    (void)state;
    ends_wrong(&two, (struct position_former){.goodbye_lost = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_consumers_end_right_whatever_answer_is_missing),
        cmocka_unit_test(two_consumers_end_right_when_two_answers_are_missing),
        cmocka_unit_test(two_consumers_end_right_when_one_takes_over_before_it_is_told),
        cmocka_unit_test(two_consumers_end_right_when_a_partition_comes_back),
        cmocka_unit_test(two_consumers_end_right_with_batches_of_several_keys),
        cmocka_unit_test(three_consumers_end_right),
        cmocka_unit_test(without_marks_a_late_write_stays),
        cmocka_unit_test(without_applying_again_a_killed_consumers_write_stays),
        cmocka_unit_test(one_that_takes_again_what_is_not_its_own_strays),
        cmocka_unit_test(a_rewind_without_an_answer_must_not_be_forgotten),
        cmocka_unit_test(a_move_without_an_answer_must_not_be_forgotten),
        cmocka_unit_test(taking_over_must_compare_the_offset),
        cmocka_unit_test(a_held_partition_must_not_be_left_with_a_goodbye),
        cmocka_unit_test(a_goodbye_without_an_answer_must_be_followed_by_the_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

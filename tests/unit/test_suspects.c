/* Records refused with a code that says nothing: given up only when it can't be the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/suspects.h"

#define LAST 10000 /* offset after the batch */
#define STEP_MS (SUSPECT_MS / (SUSPECT_TRIES - 1))

/* One try in which one record of a command is refused and its neighbours are accepted. */
static bool refused_beside_others(struct suspects *s, int64_t offset, int64_t now_ms)
{
    bool given_up;

    suspects_begin(s, 0, LAST, now_ms);
    given_up = suspects_refused(s, offset) != NULL;
    assert_false(suspects_end(s, false));
    return given_up;
}

static bool all_refused(struct suspects *s, int64_t now_ms)
{
    suspects_begin(s, 0, LAST, now_ms);
    return suspects_end(s, true);
}

static void a_record_is_given_up_after_several_tries_over_some_time(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES - 1; i++)
        assert_false(refused_beside_others(&s, 7, 1000 + i * STEP_MS));
    assert_true(refused_beside_others(&s, 7, 1000 + SUSPECT_MS));
    assert_true(refused_beside_others(&s, 7, 1001 + SUSPECT_MS)); /* and stays so */
    suspects_release(&s);
}

static void many_tries_in_a_short_time_are_no_evidence(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < 10 * SUSPECT_TRIES; i++)
        assert_false(refused_beside_others(&s, 7, 1000 + i));
    assert_false(refused_beside_others(&s, 7, 999 + SUSPECT_MS));
    assert_true(refused_beside_others(&s, 7, 1000 + SUSPECT_MS));
    suspects_release(&s);
}

static void few_tries_over_a_long_time_are_no_evidence(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES - 1; i++)
        assert_false(refused_beside_others(&s, 7, i * 10 * SUSPECT_MS));
    suspects_release(&s);
}

static void why_a_record_was_given_up_is_known(void **state)
{
    const struct suspect *why = NULL;
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; !why; i++) {
        suspects_begin(&s, 0, LAST, 1000 + i * STEP_MS);
        why = suspects_refused(&s, 7);
    }
    assert_int_equal(why->offset, 7);
    assert_int_equal(why->tries, SUSPECT_TRIES);
    assert_int_equal(why->now_ms - why->since_ms, SUSPECT_MS);
    suspects_release(&s);
}

static void a_success_forgets_every_count(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES - 1; i++) {
        suspects_begin(&s, 0, LAST, i * STEP_MS);
        assert_null(suspects_refused(&s, 7));
        assert_null(suspects_refused(&s, 9));
    }
    suspects_begin(&s, 0, LAST, SUSPECT_MS);
    suspects_accepted(&s, 8); /* it was never refused: says nothing */
    suspects_accepted(&s, 9); /* it passed by itself, so 7 may as well */
    assert_null(suspects_refused(&s, 7));
    for (int i = 1; i < SUSPECT_TRIES - 1; i++)
        assert_false(refused_beside_others(&s, 7, SUSPECT_MS + i * STEP_MS));
    assert_true(refused_beside_others(&s, 7, 2 * SUSPECT_MS));
    suspects_release(&s);
}

/* What is throttled at random never makes a dead letter, however long it goes on. */
static void refusals_at_random_give_nothing_up(void **state)
{
    enum {
        RECORDS = 40
    };
    struct suspects s;

    (void)state;
    suspects_init(&s);
    srand(11);
    for (int i = 0; i < 2000; i++) {
        bool refused[RECORDS];

        suspects_begin(&s, 0, LAST, i * STEP_MS);
        for (int r = 0; r < RECORDS; r++)
            if (!(refused[r] = rand() % 10 < 6))
                suspects_accepted(&s, r);
        for (int r = 0; r < RECORDS; r++)
            if (refused[r])
                assert_null(suspects_refused(&s, r));
        assert_false(suspects_end(&s, false));
    }
    suspects_release(&s);
}

static void a_command_refused_as_a_whole_halts_after_as_long(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES - 1; i++)
        assert_false(all_refused(&s, 1000 + i * STEP_MS));
    assert_false(all_refused(&s, 999 + SUSPECT_MS));
    assert_true(all_refused(&s, 1000 + SUSPECT_MS));
    assert_int_equal(s.tries, SUSPECT_TRIES + 1);
    assert_int_equal(s.since_ms, 1000);
    assert_true(all_refused(&s, 9000 + SUSPECT_MS)); /* looked at again: still so */
    suspects_begin(&s, 0, LAST, 9500 + SUSPECT_MS);
    assert_false(suspects_end(&s, false)); /* it went on */
    assert_false(all_refused(&s, 9600 + SUSPECT_MS));
    suspects_release(&s);
}

/* A partition that is held begins again at its position, which may stand before what is
 * refused. */
static void what_is_applied_again_on_the_way_is_no_sign_of_hope(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES; i++) {
        suspects_begin(&s, 0, 50, i * STEP_MS);
        assert_false(suspects_end(&s, false));
        suspects_begin(&s, 50, 60, i * STEP_MS);
        assert_int_equal(suspects_end(&s, true), i == SUSPECT_TRIES - 1);
    }
    suspects_begin(&s, 0, 51, SUSPECT_MS); /* this is */
    assert_false(suspects_end(&s, false));
    assert_int_equal(s.tries, 0);
    suspects_release(&s);
}

static void a_whole_refusal_says_nothing_of_its_records(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES - 1; i++)
        assert_false(refused_beside_others(&s, 7, 1000 + i * STEP_MS));
    assert_false(all_refused(&s, 20000));
    assert_true(refused_beside_others(&s, 7, 20001)); /* its own count went on */
    suspects_release(&s);
}

/* Thousands of records at once are no records' fault, and memory has an end. */
static void too_many_suspects_halt_as_a_whole_refusal_does(void **state)
{
    struct suspects s;
    bool halted = false;

    (void)state;
    suspects_init(&s);
    for (int i = 0; i < SUSPECT_TRIES; i++) {
        assert_false(halted);
        suspects_begin(&s, 0, LAST, i * STEP_MS);
        for (int64_t r = SUSPECTS_MAX; r >= 0; r--)
            suspects_refused(&s, r);
        assert_true(s.count <= SUSPECTS_MAX);
        halted = suspects_end(&s, false);
    }
    assert_true(halted);
    suspects_release(&s);
}

static void what_the_position_has_passed_is_forgotten(void **state)
{
    struct suspects s;

    (void)state;
    suspects_init(&s);
    suspects_begin(&s, 10, LAST, 1);
    for (int64_t r = 10; r < 1000; r += 3)
        suspects_refused(&s, r);
    suspects_begin(&s, 16, LAST, 2);
    assert_int_equal(s.count, 328);
    assert_int_equal(s.list[0].offset, 16);
    suspects_begin(&s, 1000, LAST, 3);
    assert_int_equal(s.count, 0);
    assert_null(s.list);
    suspects_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_given_up_after_several_tries_over_some_time),
        cmocka_unit_test(many_tries_in_a_short_time_are_no_evidence),
        cmocka_unit_test(few_tries_over_a_long_time_are_no_evidence),
        cmocka_unit_test(why_a_record_was_given_up_is_known),
        cmocka_unit_test(a_success_forgets_every_count),
        cmocka_unit_test(refusals_at_random_give_nothing_up),
        cmocka_unit_test(a_command_refused_as_a_whole_halts_after_as_long),
        cmocka_unit_test(what_is_applied_again_on_the_way_is_no_sign_of_hope),
        cmocka_unit_test(a_whole_refusal_says_nothing_of_its_records),
        cmocka_unit_test(too_many_suspects_halt_as_a_whole_refusal_does),
        cmocka_unit_test(what_the_position_has_passed_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_gap_pace.c - the first gap is gone on from at once, gaps in a row ever later.
 */
#include "producer/gap_pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HOUR 3600000LL
#define NOW (100 * HOUR)

static void gaps_are_in_a_row_until_a_generation_has_held_for_hours(void **state)
{
    static const struct {
        const char *what;
        int64_t gaps, started_ms, finished_ms;
        bool rows;
        int64_t wanted;
    } cases[] = {
        {"the first", 0, NOW - HOUR, NOW - HOUR, true, 1},
        {"the last one began because of a gap, a while ago", 1, NOW - HOUR, NOW - HOUR, true,
         2},
        {"it did not finish its snapshot", 3, NOW - 50 * HOUR, 0, true, 4},
        {"it took long and has just finished", 2, NOW - 50 * HOUR, NOW - 1, true, 3},
        {"it has just not held", 1, NOW - 7 * HOUR, NOW - 6 * HOUR + 1, true, 2},
        {"it held", 1, NOW - 7 * HOUR, NOW - 6 * HOUR, true, 1},
        {"without rows, it did not hold", 1, NOW - 5 * HOUR, 0, false, 2},
        {"without rows, it held", 4, NOW - 6 * HOUR, 0, false, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ledger_table t = {.gaps = cases[i].gaps,
                                       .started_ms = cases[i].started_ms,
                                       .finished_ms = cases[i].finished_ms,
                                       .rows = cases[i].rows};

        if (gap_pace_count(&t, NOW) != cases[i].wanted)
            fail_msg("%s: %d", cases[i].what, (int)gap_pace_count(&t, NOW));
    }
}

static void each_gap_of_a_row_waits_twice_as_long_as_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(gap_pace_pause_ms(0), 0);
    assert_int_equal(gap_pace_pause_ms(1), 0);
    assert_int_equal(gap_pace_pause_ms(2), 30000);
    assert_int_equal(gap_pace_pause_ms(3), 60000);
    assert_int_equal(gap_pace_pause_ms(8), 32 * 60000);
    assert_int_equal(gap_pace_pause_ms(9), HOUR);
    assert_int_equal(gap_pace_pause_ms(1000000), HOUR);
}

static void the_pause_counts_from_the_last_begin(void **state)
{
    struct ledger_table t = {.gaps = 2, .started_ms = NOW - 10000};

    (void)state;
    assert_int_equal(gap_pace_wait_ms(&t, NOW), 20000);
    assert_int_equal(gap_pace_wait_ms(&t, NOW + 20000), 0);
    assert_int_equal(gap_pace_wait_ms(&t, NOW + HOUR), 0);
    t.gaps = 1;
    assert_int_equal(gap_pace_wait_ms(&t, NOW), 0);
}

static void a_clock_that_was_set_back_makes_no_longer_pause(void **state)
{
    const struct ledger_table t = {.gaps = 2, .started_ms = NOW + 20 * HOUR};

    (void)state;
    assert_int_equal(gap_pace_wait_ms(&t, NOW), 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_in_a_row_until_a_generation_has_held_for_hours),
        cmocka_unit_test(each_gap_of_a_row_waits_twice_as_long_as_the_one_before),
        cmocka_unit_test(the_pause_counts_from_the_last_begin),
        cmocka_unit_test(a_clock_that_was_set_back_makes_no_longer_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

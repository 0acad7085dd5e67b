/* tests/unit/test_settle.c - when a difference counts: over every sequence of looks of a small
 * case, beside a model that only knows the promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "fullcheck/settle.h"

#define LIMIT_MS 1000
#define LOOKS 6

/* A look: how long after the one before, what was seen. */
struct look {
    int64_t after_ms;
    bool changed;
    bool matches;
};

static const int64_t steps_ms[] = {1, 400, 1000};

static struct look look_of(unsigned code)
{
    return (struct look){steps_ms[code / 4], code & 1, code & 2};
}

static enum settle_verdict promised(bool matches, int64_t stable_for_ms)
{
    return matches ? SETTLE_SAME : stable_for_ms >= LIMIT_MS ? SETTLE_COUNTS : SETTLE_AGAIN;
}

/* Goes on behind looks[0..count-1], which all said AGAIN. */
static unsigned long all_behind(struct look *looks, size_t count, struct settle s,
                                int64_t now_ms, int64_t stable_ms)
{
    unsigned long ends = 0;

    if (count == LOOKS)
        return 0;
    for (unsigned code = 0; code < ARRAY_LEN(steps_ms) * 4; code++) {
        struct settle next = s;
        int64_t now, stable;
        enum settle_verdict found;

        looks[count] = look_of(code);
        now = now_ms + looks[count].after_ms;
        stable = count == 0 || looks[count].changed ? now : stable_ms;
        found = settle_judge(&next, looks[count].matches, looks[count].changed, now, LIMIT_MS);
        assert_int_equal(found, promised(looks[count].matches, now - stable));
        assert_int_equal(next.rechecks, count + 1);
        assert_true(next.level < SETTLE_LEVELS);
        ends += found == SETTLE_AGAIN ? all_behind(looks, count + 1, next, now, stable) : 1;
    }
    return ends;
}

static void a_difference_counts_only_when_the_item_was_stable_for_the_limit(void **state)
{
    struct look looks[LOOKS];

    (void)state;
    assert_true(all_behind(looks, 0, (struct settle){0}, 5000, 0) > 10000);
}

static void without_a_limit_the_first_look_decides(void **state)
{
    struct settle a = {0}, b = {0};

    (void)state;
    assert_int_equal(settle_judge(&a, false, false, 7, 0), SETTLE_COUNTS);
    assert_int_equal(settle_judge(&b, true, false, 7, 0), SETTLE_SAME);
}

/* An item that looks other at each look, which come after the pauses that settle itself asks
 * for. */
static void an_item_that_changes_all_the_time_and_never_matches_is_undecided_at_last(void **state)
{
    static const int64_t limits_ms[] = {1000, 30000, 120000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(limits_ms); i++) {
        enum settle_verdict verdict = SETTLE_AGAIN;
        struct settle s = {0};
        int64_t now = 0;

        while (verdict == SETTLE_AGAIN) {
            now += settle_pause_ms(s.level, limits_ms[i]);
            verdict = settle_judge(&s, false, true, now, limits_ms[i]);
        }
        assert_int_equal(verdict, SETTLE_UNDECIDED);
        assert_in_range(now, MAX(10 * limits_ms[i], 30000),
                        MAX(10 * limits_ms[i], 30000) + 1000);
    }
}

static void an_item_that_changes_all_the_time_is_the_same_as_soon_as_it_matches(void **state)
{
    struct settle s = {0};

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(settle_judge(&s, false, true, i * 100, LIMIT_MS), SETTLE_AGAIN);
    assert_int_equal(settle_judge(&s, true, true, 2000, LIMIT_MS), SETTLE_SAME);
}

static void pauses_grow_up_to_a_quarter_of_the_limit_and_begin_anew_with_a_change(void **state)
{
    struct settle s = {0};
    int64_t before = 0;

    (void)state;
    for (unsigned level = 0; level < SETTLE_LEVELS; level++) {
        int64_t pause = settle_pause_ms(level, 30000);

        assert_true(pause >= before && pause >= 100 && pause <= 7500);
        before = pause;
    }
    assert_int_equal(before, 7500);
    assert_true(settle_pause_ms(SETTLE_LEVELS - 1, 86400000) <= 8000);
    assert_int_equal(settle_pause_ms(SETTLE_LEVELS - 1, 0), 100);
    for (int i = 0; i < 20; i++)
        settle_judge(&s, false, false, i, 30000);
    assert_int_equal(s.level, SETTLE_LEVELS - 1);
    settle_judge(&s, false, true, 21, 30000);
    assert_int_equal(s.level, 0);
}

/* With the pauses between, there are several looks before anything counts. */
static void what_counts_was_looked_at_more_than_twice(void **state)
{
    struct settle s = {0};
    int64_t now = 0;

    (void)state;
    while (settle_judge(&s, false, false, now, LIMIT_MS) == SETTLE_AGAIN)
        now += settle_pause_ms(s.level, LIMIT_MS);
    assert_true(s.rechecks > 3);
    assert_in_range(now, LIMIT_MS, LIMIT_MS + 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_difference_counts_only_when_the_item_was_stable_for_the_limit),
        cmocka_unit_test(without_a_limit_the_first_look_decides),
        cmocka_unit_test(an_item_that_changes_all_the_time_and_never_matches_is_undecided_at_last),
        cmocka_unit_test(an_item_that_changes_all_the_time_is_the_same_as_soon_as_it_matches),
        cmocka_unit_test(pauses_grow_up_to_a_quarter_of_the_limit_and_begin_anew_with_a_change),
        cmocka_unit_test(what_counts_was_looked_at_more_than_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

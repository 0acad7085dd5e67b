/* tests/unit/test_backoff.c - delays double up to the cap, with all of the range in use. */
#include "common/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/auto.h"

static uint64_t given(void *arg)
{
    return *(uint64_t *)arg;
}

static void the_limit_doubles_up_to_the_cap(void **state)
{
    static const int64_t limits[] = {50, 100, 200, 400, 800, 1000, 1000};
    struct backoff b;
    uint64_t random;

    (void)state;
    backoff_init(&b, 50, 1000, given, &random);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        random = (uint64_t)limits[i]; /* the largest value that is not taken modulo */
        assert_int_equal(backoff_next_ms(&b), limits[i]);
    }
    backoff_reset(&b);
    random = 51;
    assert_int_equal(backoff_next_ms(&b), 0);
}

static void a_base_above_the_cap_is_the_cap(void **state)
{
    uint64_t random = 7;
    struct backoff b;

    (void)state;
    backoff_init(&b, 500, 7, given, &random);
    assert_int_equal(backoff_next_ms(&b), 7);
    random = 8;
    assert_int_equal(backoff_next_ms(&b), 0);
}

static void thousands_of_tries_stay_in_the_range(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 1, INT64_MAX / 4, NULL, NULL);
    for (int i = 0; i < 5000; i++) {
        int64_t ms = backoff_next_ms(&b);

        assert_true(ms >= 0 && ms <= INT64_MAX / 4);
    }
}

static void delays_of_the_process_differ_and_reach_both_halves(void **state)
{
    int low = 0, high = 0;
    struct backoff b;

    (void)state;
    backoff_init(&b, 1000, 1000, NULL, NULL);
    for (int i = 0; i < 200; i++) {
        if (backoff_next_ms(&b) < 500)
            low++;
        else
            high++;
    }
    assert_true(low > 40 && high > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_doubles_up_to_the_cap),
        cmocka_unit_test(a_base_above_the_cap_is_the_cap),
        cmocka_unit_test(thousands_of_tries_stay_in_the_range),
        cmocka_unit_test(delays_of_the_process_differ_and_reach_both_halves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

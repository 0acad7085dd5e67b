/* tests/unit/test_limits.c - bytes in flight, requests a second, tables at once: bounded, and
 * given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/check.h"
#include "common/limits.h"

static void the_budget_is_not_exceeded_by_estimates(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 0, 0, 1);

    (void)state;
    assert_true(limits_reserve(l, LIMITS_SCAN, 60));
    assert_false(limits_reserve(l, LIMITS_SCAN, 60));
    limits_return(l, LIMITS_SCAN, 60);
    assert_true(limits_reserve(l, LIMITS_SCAN, 60));
}

static void a_larger_answer_goes_over_and_holds_the_next_request_back(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 0, 0, 1);

    (void)state;
    assert_true(limits_reserve(l, LIMITS_SCAN, 10));
    limits_settle(l, LIMITS_SCAN, 10, 150);
    assert_false(limits_reserve(l, LIMITS_SCAN, 1));
    limits_return(l, LIMITS_SCAN, 150);
    assert_true(limits_reserve(l, LIMITS_SCAN, 1));
}

static void a_request_larger_than_the_budget_goes_alone(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 0, 0, 1);

    (void)state;
    assert_true(limits_reserve(l, LIMITS_SCAN, 500));
    assert_false(limits_reserve(l, LIMITS_SCAN, 1));
}

/* Requests that got a token, asked every millisecond of a simulated clock. */
static int granted(struct limits *l, int64_t from_ms, int64_t to_ms)
{
    int n = 0;

    for (int64_t now = from_ms; now < to_ms; now++)
        n += limits_scan_wait_ms(l, now) == 0;
    return n;
}

static void a_rate_is_kept_after_the_first_second(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 20, 0, 1);

    (void)state;
    granted(l, 1000, 2000); /* what had been saved up goes */
    assert_in_range(granted(l, 2000, 12000), 199, 201);
    assert_int_equal(limits_stream_wait_ms(l, 1000), 0); /* no limit */
    assert_in_range(limits_scan_wait_ms(l, 12000), 0, 50);
}

static void only_so_many_tables_are_scanned_at_once(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 0, 0, 2);

    (void)state;
    assert_true(limits_scan_begin(l) && limits_scan_begin(l));
    assert_false(limits_scan_begin(l));
    limits_scan_end(l);
    assert_true(limits_scan_begin(l));
}

static void *hammer(void *arg)
{
    struct limits *l = arg;

    for (int i = 0; i < 20000; i++)
        if (limits_reserve(l, LIMITS_SCAN, 40)) {
            limits_settle(l, LIMITS_SCAN, 40, 30);
            limits_return(l, LIMITS_SCAN, 30);
        }
    return NULL;
}

static void threads_give_back_what_they_took(void **state)
{
    AUTO(limits_freep) struct limits *l = limits_new(100, 0, 0, 1);
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, l) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(limits_reserve(l, LIMITS_SCAN, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_not_exceeded_by_estimates),
        cmocka_unit_test(a_larger_answer_goes_over_and_holds_the_next_request_back),
        cmocka_unit_test(a_request_larger_than_the_budget_goes_alone),
        cmocka_unit_test(a_rate_is_kept_after_the_first_second),
        cmocka_unit_test(only_so_many_tables_are_scanned_at_once),
        cmocka_unit_test(threads_give_back_what_they_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_throttle.c - bytes in flight, requests per second, tables at once: bounded,
 * and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/run/throttle.h"

static void the_budget_is_not_exceeded_by_estimates(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 60));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 60));
    throttle_return(l, THROTTLE_SCAN, 60);
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 60));
}

static void a_larger_answer_goes_over_and_holds_the_next_request_back(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 10));
    throttle_settle(l, THROTTLE_SCAN, 10, 150);
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 1));
    throttle_return(l, THROTTLE_SCAN, 150);
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 1));
}

static void a_request_larger_than_the_budget_goes_alone(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 500));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 1));
}

/* Requests that got a token, asked every millisecond of a simulated clock. */
static int granted(struct throttle *l, int64_t from_ms, int64_t to_ms)
{
    int n = 0;

    for (int64_t now = from_ms; now < to_ms; now++)
        n += throttle_scan_wait_ms(l, now) == 0;
    return n;
}

static void a_rate_is_kept_after_the_first_second(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 20, 0, 1);

    (void)state;
    granted(l, 1000, 2000); /* what had been saved up goes */
    assert_in_range(granted(l, 2000, 12000), 199, 201);
    assert_int_equal(throttle_stream_wait_ms(l, 1000), 0); /* no limit */
    assert_in_range(throttle_scan_wait_ms(l, 12000), 0, 50);
}

static void only_so_many_tables_are_scanned_at_once(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 0, 0, 2);

    (void)state;
    assert_true(throttle_scan_begin(l) && throttle_scan_begin(l));
    assert_false(throttle_scan_begin(l));
    throttle_scan_end(l);
    assert_true(throttle_scan_begin(l));
}

/* ---- shares ---- */

static void scans_get_three_quarters_and_streams_what_is_left(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 50));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 26));
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 25));
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 25));
    assert_false(throttle_reserve(l, THROTTLE_STREAM, 1));
    throttle_return(l, THROTTLE_SCAN, 50);
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 50));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 10)); /* all is in use */
}

static void streams_have_their_quarter_also_when_scans_went_over(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 10));
    throttle_settle(l, THROTTLE_SCAN, 10, 300);
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 12));
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 13));
    assert_false(throttle_reserve(l, THROTTLE_STREAM, 1));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 1));
}

static void a_request_larger_than_its_share_waits_for_its_own_use_alone(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);

    (void)state;
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 100));
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 90));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 1));
    assert_false(throttle_reserve(l, THROTTLE_STREAM, 200));
    throttle_return(l, THROTTLE_STREAM, 100);
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 200));
}

static int scans_at_once(int64_t threads)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(1000, threads, 0, 0, 1);
    int n = 0;

    while (n < 1000 && throttle_reserve(l, THROTTLE_SCAN, 0))
        n++;
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 100)); /* whatever scans hold */
    if (n < 1000) {
        throttle_return(l, THROTTLE_SCAN, 0);
        assert_true(throttle_reserve(l, THROTTLE_SCAN, 0));
        assert_false(throttle_reserve(l, THROTTLE_SCAN, 0));
    }
    return n;
}

static void scans_that_hang_never_hold_all_threads(void **state)
{
    (void)state;
    assert_int_equal(scans_at_once(8), 6);
    assert_int_equal(scans_at_once(2), 1);
    assert_int_equal(scans_at_once(1), 1); /* there is no other */
    assert_int_equal(scans_at_once(0), 1000);
}

/* ---- being told of room ---- */

struct waiters {
    int told;
    int left; /* after the ones that are woken */
};

static bool wake_one(void *arg)
{
    struct waiters *w = arg;

    w->told++;
    w->left -= w->left > 0;
    return w->left > 0;
}

static void who_was_refused_is_told_when_something_comes_back(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);
    struct waiters w = {0};

    (void)state;
    throttle_on_room(l, wake_one, &w);
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 70));
    throttle_settle(l, THROTTLE_SCAN, 70, 60);
    assert_int_equal(w.told, 0); /* nobody waits */
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 20));
    throttle_settle(l, THROTTLE_SCAN, 60, 70); /* takes more */
    assert_int_equal(w.told, 0);
    throttle_settle(l, THROTTLE_SCAN, 70, 60);
    assert_int_equal(w.told, 1);
    throttle_return(l, THROTTLE_SCAN, 60);
    assert_int_equal(w.told, 1); /* and has come since, as far as we know */
    assert_true(throttle_scan_begin(l));
    assert_false(throttle_scan_begin(l));
    throttle_scan_end(l);
    assert_int_equal(w.told, 2);
    assert_true(throttle_reserve(l, THROTTLE_STREAM, 100));
    assert_false(throttle_reserve(l, THROTTLE_STREAM, 1));
    throttle_return(l, THROTTLE_STREAM, 100);
    assert_int_equal(w.told, 3);
}

/* One is woken at a time, and none of them is refused. */
static void who_waits_behind_the_woken_is_told_of_the_next_room(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);
    struct waiters w = {.left = 3};

    (void)state;
    throttle_on_room(l, wake_one, &w);
    for (int i = 0; i < 10; i++)
        assert_true(throttle_reserve(l, THROTTLE_STREAM, 10));
    assert_false(throttle_reserve(l, THROTTLE_STREAM, 10));
    for (int i = 0; i < 10; i++)
        throttle_return(l, THROTTLE_STREAM, 10);
    assert_int_equal(w.told, 3);
}

static bool take_in_the_call(void *arg)
{
    assert_true(throttle_reserve(arg, THROTTLE_SCAN, 70));
    return false;
}

static void room_is_told_of_outside_the_lock(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);

    (void)state;
    throttle_on_room(l, take_in_the_call, l);
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 70));
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 70));
    throttle_return(l, THROTTLE_SCAN, 70);
    assert_false(throttle_reserve(l, THROTTLE_SCAN, 70)); /* it has it */
}

/* ---- descriptions ---- */

static void descriptions_stand_in_one_row_a_tenth_of_a_second_apart(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 8, 0, 0, 1);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(throttle_describe_slot_ms(l, 5000), i * 100);
    assert_int_equal(throttle_describe_slot_ms(l, 5050), 99950);
    assert_int_equal(throttle_describe_slot_ms(l, 900000), 0); /* nothing is saved up */
    assert_int_equal(throttle_describe_slot_ms(l, 900000), 100);
}

/* ---- threads ---- */

static void *hammer(void *arg)
{
    struct throttle *l = arg;

    for (int i = 0; i < 20000; i++)
        if (throttle_reserve(l, THROTTLE_SCAN, 40)) {
            throttle_settle(l, THROTTLE_SCAN, 40, 30);
            throttle_return(l, THROTTLE_SCAN, 30);
        }
    return NULL;
}

static void threads_give_back_what_they_took(void **state)
{
    AUTO(throttle_freep) struct throttle *l = throttle_new(100, 0, 0, 0, 1);
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, l) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(throttle_reserve(l, THROTTLE_SCAN, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_not_exceeded_by_estimates),
        cmocka_unit_test(a_larger_answer_goes_over_and_holds_the_next_request_back),
        cmocka_unit_test(a_request_larger_than_the_budget_goes_alone),
        cmocka_unit_test(a_rate_is_kept_after_the_first_second),
        cmocka_unit_test(only_so_many_tables_are_scanned_at_once),
        cmocka_unit_test(scans_get_three_quarters_and_streams_what_is_left),
        cmocka_unit_test(streams_have_their_quarter_also_when_scans_went_over),
        cmocka_unit_test(a_request_larger_than_its_share_waits_for_its_own_use_alone),
        cmocka_unit_test(scans_that_hang_never_hold_all_threads),
        cmocka_unit_test(who_was_refused_is_told_when_something_comes_back),
        cmocka_unit_test(who_waits_behind_the_woken_is_told_of_the_next_room),
        cmocka_unit_test(room_is_told_of_outside_the_lock),
        cmocka_unit_test(descriptions_stand_in_one_row_a_tenth_of_a_second_apart),
        cmocka_unit_test(threads_give_back_what_they_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

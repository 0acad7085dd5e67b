/* tests/unit/test_scan_pace.c - a scan takes its share of a table's capacity and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "producer/scan_pace.h"

#define PAGE_BYTES ((int64_t)1 << 20)

static struct scan_pace pace_of(int64_t capacity, int64_t percent)
{
    struct scan_pace p = {0};

    scan_pace_set(&p, capacity, percent);
    return p;
}

/* Asks as a segment does: comes again when it is told to; the time at which it may ask. */
static int64_t asked_at(struct scan_pace *p, int64_t now_ms)
{
    int64_t wait;

    while ((wait = scan_pace_wait_ms(p, now_ms)) > 0) {
        assert_in_range(wait, 1, 1000);
        now_ms += wait;
    }
    return now_ms;
}

/* Pages of `milli` each, one after another; the time after the last one's answer. */
static int64_t pages(struct scan_pace *p, int64_t now_ms, int count, int64_t milli)
{
    for (int i = 0; i < count; i++) {
        now_ms = asked_at(p, now_ms);
        scan_pace_answered(p, milli, PAGE_BYTES);
    }
    return now_ms;
}

static void a_table_on_demand_is_not_paced(void **state)
{
    struct scan_pace p = pace_of(0, 50);

    (void)state;
    assert_int_equal(pages(&p, 1000, 100, 256000), 1000);
    scan_pace_wait_ms(&p, 1000);
    scan_pace_failed(&p, true, 1000);
    assert_int_equal(scan_pace_wait_ms(&p, 1000), 0);
}

static void zero_percent_is_no_pace(void **state)
{
    struct scan_pace p = pace_of(100, 0);

    (void)state;
    assert_int_equal(pages(&p, 1000, 100, 256000), 1000);
}

static void a_scan_takes_its_share_of_the_capacity(void **state)
{
    static const struct {
        int64_t capacity, percent, page_milli;
    } cases[] = {{100, 50, 128000}, {100, 100, 500}, {1, 50, 1000}, {40000, 25, 256500}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_pace p = pace_of(cases[i].capacity, cases[i].percent);
        int64_t took_ms = pages(&p, 1000, 1001, cases[i].page_milli) - 1000;
        int64_t share_ms = cases[i].page_milli * 1000 * 1000 * 100 /
                           (cases[i].capacity * cases[i].percent) / 1000;

        assert_in_range(took_ms, share_ms, share_ms + share_ms / 50 + 1001);
    }
}

static void all_segments_of_a_table_share_it(void **state)
{
    struct scan_pace p = pace_of(100, 50);

    (void)state;
    pages(&p, 1000, 1, 10000);                          /* a page costs 200 ms */
    assert_int_equal(scan_pace_wait_ms(&p, 1200), 0);   /* one segment asks */
    assert_int_equal(scan_pace_wait_ms(&p, 1200), 200); /* another one waits */
    assert_int_equal(scan_pace_wait_ms(&p, 1399), 1);
    assert_int_equal(scan_pace_wait_ms(&p, 1400), 0); /* and asks beside it */
    scan_pace_answered(&p, 60000, PAGE_BYTES);        /* 50 units more than was thought */
    assert_int_equal(scan_pace_wait_ms(&p, 1600), 1000);
    scan_pace_answered(&p, 10000, PAGE_BYTES); /* as was thought before that */
    assert_in_range(scan_pace_wait_ms(&p, 2400), 0, 200);
}

static void until_a_page_has_told_its_cost_one_is_asked_for(void **state)
{
    struct scan_pace p = pace_of(10, 50);

    (void)state;
    assert_int_equal(scan_pace_wait_ms(&p, 1000), 0);
    for (int segment = 1; segment < 64; segment++)
        assert_int_equal(scan_pace_wait_ms(&p, 1000), 100);
    scan_pace_failed(&p, false, 1100); /* cut: another one may try */
    assert_int_equal(scan_pace_wait_ms(&p, 1100), 0);
    assert_int_equal(scan_pace_wait_ms(&p, 1100), 100);
    scan_pace_answered(&p, 5000, PAGE_BYTES);
    assert_int_equal(scan_pace_wait_ms(&p, 1200), 900);
    assert_int_equal(scan_pace_wait_ms(&p, 2100), 0);
}

static void nothing_is_saved_up_while_it_does_not_scan(void **state)
{
    struct scan_pace p = pace_of(100, 50);

    (void)state;
    pages(&p, 1000, 1, 50000);
    assert_int_equal(scan_pace_wait_ms(&p, 3600000), 0);
    assert_int_equal(scan_pace_wait_ms(&p, 3600000), 1000);
}

static void a_cost_that_is_not_told_is_estimated_from_the_bytes(void **state)
{
    static const struct {
        int64_t bytes, milli;
    } cases[] = {{0, 1000},    {1, 1000},         {4096, 1000},
                 {4097, 2000}, {1 << 20, 256000}, {9 << 20, 256000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_pace p = pace_of(100, 50);

        assert_int_equal(scan_pace_wait_ms(&p, 1000), 0);
        scan_pace_answered(&p, -1, cases[i].bytes);
        assert_int_equal(p.page_milli, cases[i].milli);
    }
}

static void a_throttled_scan_goes_slower_and_comes_back(void **state)
{
    struct scan_pace p = pace_of(100, 50);
    int64_t now = pages(&p, 1000, 2, 5000), began; /* 100 ms each */

    (void)state;
    now = asked_at(&p, now);
    scan_pace_failed(&p, true, now);
    assert_int_equal(scan_pace_wait_ms(&p, now), 1000); /* a second of nothing */
    began = now = asked_at(&p, now + 1000);
    scan_pace_answered(&p, 5000, PAGE_BYTES);
    now = asked_at(&p, now);
    assert_in_range(now - began, 180, 200); /* half as fast */
    scan_pace_answered(&p, 5000, PAGE_BYTES);
    now = pages(&p, now, 20, 5000);
    assert_in_range(pages(&p, now, 10, 5000) - now, 1000, 1010); /* as before */
}

static void segments_that_are_throttled_together_slow_it_once(void **state)
{
    struct scan_pace one = pace_of(1000, 50), many = pace_of(1000, 50);
    int64_t now = pages(&one, 1000, 1, 500);

    (void)state;
    pages(&many, 1000, 1, 500);
    for (int segment = 0; segment < 8; segment++)
        now = asked_at(&many, now);
    for (int segment = 0; segment < 8; segment++)
        scan_pace_failed(&many, true, now);
    asked_at(&one, now);
    scan_pace_failed(&one, true, now);
    assert_int_equal(one.slow_percent, many.slow_percent);
}

static void however_often_it_is_throttled_it_goes_on(void **state)
{
    struct scan_pace p = pace_of(100, 50);
    int64_t now = pages(&p, 1000, 1, 5000);

    (void)state;
    for (int i = 0; i < 100; i++) {
        now = asked_at(&p, now);
        scan_pace_failed(&p, true, now);
    }
    assert_in_range(asked_at(&p, now) - now, 1000, 3100);
}

static void a_capacity_that_changes_counts_from_then_on(void **state)
{
    struct scan_pace p = pace_of(100, 50);
    int64_t now = pages(&p, 1000, 3, 50000);

    (void)state;
    scan_pace_set(&p, 1000, 50);
    now = asked_at(&p, now);
    scan_pace_answered(&p, 50000, PAGE_BYTES);
    assert_in_range(pages(&p, now, 10, 50000) - now, 1000, 1010);
    scan_pace_set(&p, 0, 50); /* on demand now */
    now = asked_at(&p, now);
    scan_pace_answered(&p, 50000, PAGE_BYTES);
    assert_int_equal(pages(&p, now, 10, 50000), now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_on_demand_is_not_paced),
        cmocka_unit_test(zero_percent_is_no_pace),
        cmocka_unit_test(a_scan_takes_its_share_of_the_capacity),
        cmocka_unit_test(all_segments_of_a_table_share_it),
        cmocka_unit_test(until_a_page_has_told_its_cost_one_is_asked_for),
        cmocka_unit_test(nothing_is_saved_up_while_it_does_not_scan),
        cmocka_unit_test(a_cost_that_is_not_told_is_estimated_from_the_bytes),
        cmocka_unit_test(a_throttled_scan_goes_slower_and_comes_back),
        cmocka_unit_test(segments_that_are_throttled_together_slow_it_once),
        cmocka_unit_test(however_often_it_is_throttled_it_goes_on),
        cmocka_unit_test(a_capacity_that_changes_counts_from_then_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

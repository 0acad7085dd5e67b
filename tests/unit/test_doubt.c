/* tests/unit/test_doubt.c - an answer that would end something for good is believed when it
 * stays: long enough, and said often enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "producer/doubt.h"

#define DOUBT_MS 60000

static void what_is_said_once_or_twice_is_not_believed_however_late(void **state)
{
    struct doubt d = {0};

    (void)state;
    assert_false(doubt_is_on(&d));
    assert_false(doubt_said(&d, "gone", 0, DOUBT_MS));
    assert_true(doubt_is_on(&d));
    assert_false(doubt_said(&d, "gone", 10 * DOUBT_MS, DOUBT_MS));
    assert_true(doubt_said(&d, "gone", 10 * DOUBT_MS, DOUBT_MS));
}

static void what_is_said_often_is_not_believed_before_its_time(void **state)
{
    struct doubt d = {0};

    (void)state;
    for (int64_t ms = 100; ms < DOUBT_MS + 100; ms += 100)
        assert_false(doubt_said(&d, "gone", ms, DOUBT_MS));
    assert_true(doubt_said(&d, "gone", DOUBT_MS + 100, DOUBT_MS));
}

static void another_text_begins_anew(void **state)
{
    struct doubt d = {0};

    (void)state;
    doubt_said(&d, "gone", 0, DOUBT_MS);
    doubt_said(&d, "gone", 1, DOUBT_MS);
    assert_false(doubt_said(&d, "another", DOUBT_MS, DOUBT_MS));
    assert_false(doubt_said(&d, "another", 2 * DOUBT_MS - 1, DOUBT_MS));
    assert_true(doubt_said(&d, "another", 2 * DOUBT_MS, DOUBT_MS));
}

static void an_answer_that_speaks_for_it_ends_the_doubt(void **state)
{
    struct doubt d = {0};

    (void)state;
    doubt_said(&d, "gone", 0, DOUBT_MS);
    doubt_said(&d, "gone", 1, DOUBT_MS);
    doubt_clear(&d);
    assert_false(doubt_is_on(&d));
    assert_false(doubt_said(&d, "gone", 2 * DOUBT_MS, DOUBT_MS));
    assert_false(doubt_said(&d, "gone", 2 * DOUBT_MS + 1, DOUBT_MS));
    assert_true(doubt_said(&d, "gone", 3 * DOUBT_MS, DOUBT_MS));
}

/* Names of tables and shards may be long. */
static void a_long_text_is_the_same_text_again(void **state)
{
    char text[1000];
    struct doubt d = {0};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    doubt_said(&d, text, 0, DOUBT_MS);
    doubt_said(&d, text, 1, DOUBT_MS);
    assert_true(doubt_said(&d, text, DOUBT_MS, DOUBT_MS));
}

static void it_is_asked_ever_more_slowly_but_often_enough(void **state)
{
    struct doubt d = {0};
    int64_t at = 0, pause, before = 0;

    (void)state;
    for (int times = 0; !doubt_said(&d, "gone", at, DOUBT_MS); times++) {
        assert_true(times < 100);
        pause = doubt_again_ms(&d, DOUBT_MS);
        assert_true(pause >= before);
        assert_in_range(pause, 1, DOUBT_MS / 4);
        before = pause;
        at += pause;
    }
    assert_in_range(at, DOUBT_MS, DOUBT_MS + DOUBT_MS / 4);
}

static void a_doubt_without_a_time_still_asks_three_times(void **state)
{
    struct doubt d = {0};

    (void)state;
    assert_false(doubt_said(&d, "gone", 0, 0));
    assert_in_range(doubt_again_ms(&d, 0), 1, 1000);
    assert_false(doubt_said(&d, "gone", 0, 0));
    assert_true(doubt_said(&d, "gone", 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_once_or_twice_is_not_believed_however_late),
        cmocka_unit_test(what_is_said_often_is_not_believed_before_its_time),
        cmocka_unit_test(another_text_begins_anew),
        cmocka_unit_test(an_answer_that_speaks_for_it_ends_the_doubt),
        cmocka_unit_test(a_long_text_is_the_same_text_again),
        cmocka_unit_test(it_is_asked_ever_more_slowly_but_often_enough),
        cmocka_unit_test(a_doubt_without_a_time_still_asks_three_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

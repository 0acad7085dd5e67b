/* tests/unit/test_alarm.c - how often it is said that time runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alarm.h"

#define WARN 100
#define ERROR 10

static enum alarm_level look(struct alarm *alarm, int64_t left, int64_t now_ms)
{
    return alarm_look(alarm, left, WARN, ERROR, now_ms);
}

static void nothing_is_said_while_enough_is_left(void **state)
{
    struct alarm alarm = {0};

    (void)state;
    assert_int_equal(look(&alarm, WARN, 1), ALARM_NONE);
    assert_int_equal(look(&alarm, WARN - 1, 2), ALARM_WARN);
}

static void it_is_said_once_an_hour(void **state)
{
    struct alarm alarm = {0};

    (void)state;
    assert_int_equal(look(&alarm, 50, 0), ALARM_WARN);
    assert_int_equal(look(&alarm, 50, 1), ALARM_NONE);
    assert_int_equal(look(&alarm, WARN, 2), ALARM_NONE); /* to and fro is no news */
    assert_int_equal(look(&alarm, 50, ALARM_AGAIN_MS - 1), ALARM_NONE);
    assert_int_equal(look(&alarm, 50, ALARM_AGAIN_MS), ALARM_WARN);
    assert_int_equal(look(&alarm, 50, ALARM_AGAIN_MS + 1), ALARM_NONE);
}

static void what_becomes_serious_is_said_at_once(void **state)
{
    struct alarm alarm = {0};

    (void)state;
    assert_int_equal(look(&alarm, 50, 0), ALARM_WARN);
    assert_int_equal(look(&alarm, ERROR - 1, 1), ALARM_ERROR);
    assert_int_equal(look(&alarm, -5, 2), ALARM_NONE);
    assert_int_equal(look(&alarm, 50, 3), ALARM_NONE);
    assert_int_equal(look(&alarm, -5, 1 + ALARM_AGAIN_MS), ALARM_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_while_enough_is_left),
        cmocka_unit_test(it_is_said_once_an_hour),
        cmocka_unit_test(what_becomes_serious_is_said_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_retention_search.c - the time of a record is found by asking for offsets
 * since times, with few questions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consumer/retention_search.h"

#define NOW 1800000000000LL
#define KEEP (7 * 24 * 3600 * 1000LL)
#define QUESTIONS 13

/* A log of one record per minute; its newest is of NOW. */
#define RECORDS 40000
#define EVERY_MS 60000

static int64_t time_of(int64_t offset)
{
    return NOW - (RECORDS - 1 - offset) * EVERY_MS;
}

static int64_t since(int64_t time)
{
    for (int64_t offset = 0; offset < RECORDS; offset++)
        if (time_of(offset) >= time)
            return offset;
    return -1;
}

static int64_t search(int64_t position, int *ret_questions)
{
    struct retention_search s;

    *ret_questions = 0;
    for (retention_search_begin(&s, NOW, KEEP); !retention_search_ended(&s);) {
        retention_search_told(&s, since(retention_search_question(&s)), position);
        assert_true(++*ret_questions <= QUESTIONS);
    }
    return retention_search_time(&s);
}

static void a_young_record_takes_one_question(void **state)
{
    int questions;
    int64_t found = search(RECORDS - 2, &questions);

    (void)state;
    assert_int_equal(questions, 1);
    assert_in_range(NOW - found, 0, KEEP / 100);
    assert_true(found <= time_of(RECORDS - 2));
}

/* Never too young: then the warning would be late. */
static void an_older_one_is_found_to_a_thousandth_of_the_retention(void **state)
{
    int questions;

    (void)state;
    for (int64_t position = RECORDS - 200; position > RECORDS - 2 * KEEP / EVERY_MS + 20;
         position -= 997) {
        int64_t found = search(position, &questions);

        assert_true(found <= time_of(position));
        assert_true(time_of(position) - found <= KEEP / 1000);
    }
}

static void what_is_out_of_its_time_is_told_to_be_so(void **state)
{
    int questions;

    (void)state;
    assert_true(search(5, &questions) + KEEP < NOW);
}

/* There is none yet since that time: as of a partition that holds nothing younger. */
static void a_log_without_young_records_is_searched_too(void **state)
{
    struct retention_search s;

    (void)state;
    for (retention_search_begin(&s, NOW, KEEP); !retention_search_ended(&s);)
        retention_search_told(&s, retention_search_question(&s) > NOW - KEEP / 2 ? -1 : 7, 7);
    assert_in_range(NOW - retention_search_time(&s), KEEP / 2, KEEP / 2 + KEEP / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_young_record_takes_one_question),
        cmocka_unit_test(an_older_one_is_found_to_a_thousandth_of_the_retention),
        cmocka_unit_test(what_is_out_of_its_time_is_told_to_be_so),
        cmocka_unit_test(a_log_without_young_records_is_searched_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

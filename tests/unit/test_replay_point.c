/* tests/unit/test_replay_point.c - from where a table is applied again: what the text says, and
 * what it means for a partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/replay_point.h"

#define NOON INT64_C(1769860800000) /* 2026-01-31T12:00:00Z */

static void a_time_is_read_as_rfc_3339_says(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2026-01-31T12:00:00Z", NOON},
        {"2026-01-31t12:00:00z", NOON},
        {"2026-01-31 12:00:00Z", NOON},
        {"2026-01-31T14:00:00+02:00", NOON},
        {"2026-01-31T06:30:00-05:30", NOON},
        {"2026-01-31T12:00:00-00:00", NOON},
        {"2026-01-31T12:00:00.5Z", NOON + 500},
        {"2026-01-31T12:00:00.123999Z", NOON + 123},
        {"1970-01-01T00:00:00Z", 0},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct replay_point point;

        if (!replay_point_parse(&point, cases[i].text))
            fail_msg("%s was refused", cases[i].text);
        assert_int_equal(point.kind, REPLAY_FROM_TIME);
        assert_int_equal(point.time_ms, cases[i].ms);
    }
}

static void a_place_is_a_partition_and_an_offset(void **state)
{
    struct replay_point point;

    (void)state;
    assert_true(replay_point_parse(&point, "3:4711"));
    assert_int_equal(point.kind, REPLAY_FROM_OFFSET);
    assert_int_equal(point.partition, 3);
    assert_int_equal(point.offset, 4711);
    assert_true(replay_point_parse(&point, "beginning"));
    assert_int_equal(point.kind, REPLAY_FROM_BEGINNING);
}

static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "end",
        "Beginning",
        "7",
        ":",
        "1:",
        ":1",
        "-1:4",
        "1:-4",
        "1:4:7",
        "2147483648:1",
        "1:9223372036854775808",
        "0x1:2",
        " 1:2",
        "2026-01-31",
        "2026-01-31T12:00:00", /* of which zone? */
        "2026-01-31T12:00Z",
        "2026-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+0200",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00Zx",
        "1969-12-31T23:59:59Z",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct replay_point point;

        if (replay_point_parse(&point, wrong[i]))
            fail_msg("%s was taken", wrong[i]);
    }
}

/* ---- a partition ---- */

#define BEGIN 100
#define NONE POSITION_NONE

static void
a_partition_goes_back_to_what_was_asked_for_and_never_before_its_generation(void **state)
{
    static const struct replay_point beginning = {.kind = REPLAY_FROM_BEGINNING},
                                     time = {.kind = REPLAY_FROM_TIME},
                                     p1 = {REPLAY_FROM_OFFSET, 0, 1, 150},
                                     early = {REPLAY_FROM_OFFSET, 0, 1, 7},
                                     other = {REPLAY_FROM_OFFSET, 0, 2, 150};
    static const struct {
        const char *what;
        const struct replay_point *point;
        int64_t offset, rewind; /* of the document */
        int64_t low, at_time;
        enum replay_verdict verdict;
        int64_t from;
    } cases[] = {
        {"beginning", &beginning, 200, NONE, 0, NONE, REPLAY_GO_BACK, BEGIN},
        {"beginning, just kept", &beginning, 200, NONE, BEGIN, NONE, REPLAY_GO_BACK, BEGIN},
        {"beginning, cut", &beginning, 200, NONE, BEGIN + 1, NONE, REPLAY_LOST, 0},
        {"stands at the begin", &beginning, BEGIN, NONE, 0, NONE, REPLAY_NOTHING, 0},
        {"is in the generation before", &beginning, 50, NONE, 0, NONE, REPLAY_NOTHING, 0},
        {"has no position", &beginning, NONE, NONE, 0, NONE, REPLAY_NOTHING, 0},
        {"is about to go back to it", &beginning, 200, BEGIN, 0, NONE, REPLAY_NOTHING, 0},
        {"is about to go back, less far", &beginning, 200, 160, 0, NONE, REPLAY_GO_BACK, BEGIN},
        {"a time", &time, 200, NONE, 0, 170, REPLAY_GO_BACK, 170},
        {"a time before the generation", &time, 200, NONE, 0, 20, REPLAY_GO_BACK, BEGIN},
        {"a time still to be applied", &time, 200, NONE, 0, 200, REPLAY_NOTHING, 0},
        {"a time in the future", &time, 200, NONE, 0, NONE, REPLAY_NOTHING, 0},
        {"a time that was cut", &time, 200, NONE, 170, 170, REPLAY_LOST, 0},
        {"a time, and the log is empty", &time, 200, NONE, 200, NONE, REPLAY_LOST, 0},
        {"a time behind all that is left", &time, 200, NONE, 170, NONE, REPLAY_NOTHING, 0},
        {"a time behind a cut", &time, 200, NONE, 170, 180, REPLAY_GO_BACK, 180},
        {"a time at the first of all records", &time, 200, NONE, 0, 0, REPLAY_GO_BACK, BEGIN},
        {"an offset", &p1, 200, NONE, 0, NONE, REPLAY_GO_BACK, 150},
        {"an offset that was cut", &p1, 200, NONE, 151, NONE, REPLAY_LOST, 0},
        {"an offset before the generation", &early, 200, NONE, 0, NONE, REPLAY_GO_BACK, BEGIN},
        {"an offset still to be applied", &p1, 150, NONE, 0, NONE, REPLAY_NOTHING, 0},
        {"an offset of another partition", &other, 200, NONE, 0, NONE, REPLAY_NOTHING, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct replay_place place = {.partition = 1,
                                           .doc = {.found = cases[i].offset != NONE,
                                                   .offset = cases[i].offset,
                                                   .rewind = cases[i].rewind,
                                                   .log_id = "log"},
                                           .log_id = "log",
                                           .begin = BEGIN,
                                           .low = cases[i].low,
                                           .at_time = cases[i].at_time};
        int64_t from = 0;
        const char *why = NULL;
        enum replay_verdict verdict = replay_point_judge(cases[i].point, &place, &from, &why);

        if (verdict != cases[i].verdict || (verdict == REPLAY_GO_BACK && from != cases[i].from))
            fail_msg("%s: %d, from %d", cases[i].what, (int)verdict, (int)from);
        assert_int_equal(verdict == REPLAY_NOTHING, why != NULL);
    }
}

static void a_generation_that_the_ledger_did_not_tell_yet_counts_too(void **state)
{
    static const struct replay_point point = {.kind = REPLAY_FROM_BEGINNING};
    const struct replay_place place = {
        .doc = {.found = true, .offset = 200, .begin = 180, .rewind = NONE, .log_id = "log"},
        .log_id = "log",
        .begin = BEGIN};
    const char *why;
    int64_t from;

    (void)state;
    assert_int_equal(replay_point_judge(&point, &place, &from, &why), REPLAY_GO_BACK);
    assert_int_equal(from, 180);
}

static void a_position_in_another_log_means_nothing(void **state)
{
    static const struct replay_point point = {.kind = REPLAY_FROM_BEGINNING};
    const struct replay_place place = {
        .doc = {.found = true, .offset = 200, .rewind = NONE, .log_id = "deleted"},
        .log_id = "log",
        .begin = BEGIN};
    int64_t from;
    const char *why;

    (void)state;
    assert_int_equal(replay_point_judge(&point, &place, &from, &why), REPLAY_NOTHING);
}

static void a_partition_is_back_when_it_went_back_and_came_again(void **state)
{
    const struct position_doc then = {.found = true, .offset = 200, .rewind = NONE};
    struct position_doc now = then;

    (void)state;
    now.rewind = 120;
    assert_false(replay_point_is_back(&then, &now));
    now = (struct position_doc){.found = true, .offset = 120, .rewind = NONE};
    assert_false(replay_point_is_back(&then, &now));
    now.offset = 200;
    assert_true(replay_point_is_back(&then, &now));
    now = (struct position_doc){.found = false, .offset = NONE, .rewind = NONE};
    assert_false(replay_point_is_back(&then, &now));
}

static void nobody_waits_for_an_offset_of_a_log_that_was_replaced(void **state)
{
    const struct position_doc then = {
        .found = true, .offset = 200, .rewind = NONE, .log_id = "one"};
    struct position_doc now = {.found = true, .offset = 3, .rewind = NONE, .log_id = "other"};

    (void)state;
    assert_true(replay_point_is_back(&then, &now));
    now.offset = NONE;
    assert_false(replay_point_is_back(&then, &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_read_as_rfc_3339_says),
        cmocka_unit_test(a_place_is_a_partition_and_an_offset),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(
            a_partition_goes_back_to_what_was_asked_for_and_never_before_its_generation),
        cmocka_unit_test(a_generation_that_the_ledger_did_not_tell_yet_counts_too),
        cmocka_unit_test(a_position_in_another_log_means_nothing),
        cmocka_unit_test(a_partition_is_back_when_it_went_back_and_came_again),
        cmocka_unit_test(nobody_waits_for_an_offset_of_a_log_that_was_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

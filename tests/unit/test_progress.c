/* tests/unit/test_progress.c - progress tells how far long work is, never more than it knows,
 * in a line that fits, and in the log once a minute. */
#include "common/run/progress_tables.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/run/progress_meter.h"

#define UNKNOWN PROGRESS_NOT_KNOWN
#define MINUTE 60000

/* ---- figures ---- */

static void the_rate_is_that_of_the_last_ten_seconds(void **state)
{
    struct progress_meter meter = {0};

    (void)state;
    assert_int_equal(progress_meter_per_s(&meter), UNKNOWN);
    progress_meter_add(&meter, 1000, 500);
    assert_int_equal(progress_meter_per_s(&meter), UNKNOWN);
    progress_meter_add(&meter, 2000, 600);
    assert_int_equal(progress_meter_per_s(&meter), 100);
    for (int i = 1; i <= 10; i++)
        progress_meter_add(&meter, 2000 + i * 1000, 600 + i * 7);
    assert_int_equal(progress_meter_per_s(&meter), 7);
    for (int i = 11; i <= 20; i++)
        progress_meter_add(&meter, 2000 + i * 1000, 670);
    assert_int_equal(progress_meter_per_s(&meter), 0);
}

static void a_rate_begins_anew_when_what_was_done_is_taken_back(void **state)
{
    struct progress_meter meter = {0};

    (void)state;
    progress_meter_add(&meter, 0, 0);
    progress_meter_add(&meter, 1000, 900);
    progress_meter_add(&meter, 2000, 400);
    assert_int_equal(progress_meter_per_s(&meter), UNKNOWN);
    progress_meter_add(&meter, 4000, 600);
    assert_int_equal(progress_meter_per_s(&meter), 100);
}

static void looks_at_one_time_have_no_rate(void **state)
{
    struct progress_meter meter = {0};

    (void)state;
    progress_meter_add(&meter, 5000, 1);
    progress_meter_add(&meter, 5000, 2);
    assert_int_equal(progress_meter_per_s(&meter), UNKNOWN);
}

static void percent_and_time_left_are_told_as_far_as_they_are_known(void **state)
{
    static const struct {
        const char *about;
        int64_t done, left, per_s;
        int percent;
        int64_t left_s;
    } cases[] = {
        {"in the middle", 630, 370, 37, 63, 11},
        {"nothing yet", 0, 1000, UNKNOWN, 0, UNKNOWN},
        {"nothing at all", 0, 0, UNKNOWN, 0, UNKNOWN},
        {"an estimate that was too low", 5000, 0, 10, 99, UNKNOWN},
        {"nearly done", 999999, 1, 10, 99, 1},
        {"no estimate", 5000, UNKNOWN, 10, UNKNOWN, UNKNOWN},
        {"it stands", 500, 500, 0, 50, UNKNOWN},
        {"years", 1, INT64_C(1) << 50, 1, 0, UNKNOWN},
        {"large numbers", INT64_C(1) << 50, INT64_C(1) << 50, INT64_C(1) << 40, 50, 1025},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct progress_figures f;

        progress_figures_of(&f, cases[i].done, cases[i].left, cases[i].per_s);
        if (f.percent != cases[i].percent || f.left_s != cases[i].left_s)
            fail_msg("%s: %d %%, %" PRId64 " s", cases[i].about, f.percent, f.left_s);
    }
}

/* ---- the line ---- */

static void the_line_is(const struct progress_view *view, size_t width, const char *expected)
{
    AUTO(buf_release) struct buf text = {.ceiling = 8192};

    progress_line_running(&text, view, width);
    assert_string_equal(buf_cstr(&text), expected);
}

static void the_end_is(const struct progress_view *view, const char *expected)
{
    AUTO(buf_release) struct buf text = {.ceiling = 8192};

    progress_line_ended(&text, view);
    assert_string_equal(buf_cstr(&text), expected);
}

static struct progress_view copied(int64_t left_s)
{
    return (struct progress_view){.what = "rows",
                                  .did = "copied",
                                  .tables = 40,
                                  .over = 12,
                                  .figures = {1234567, 52300, 725000, left_s, 63}};
}

static void the_line_says_how_far_all_tables_are(void **state)
{
    struct progress_view view = copied(240);

    (void)state;
    the_line_is(&view, 80,
                "12 of 40 tables copied, 1,234,567 rows, 52,300 rows/s, 63 %, 4 min left");
    view.tables = 1;
    view.table = "orders";
    the_line_is(&view, 80, "orders: 1,234,567 rows copied, 52,300 rows/s, 63 %, 4 min left");
    view.number = 3;
    view.of = 12;
    the_line_is(&view, 80,
                "orders (3 of 12): 1,234,567 rows copied, 52,300 rows/s, 63 %, 4 min left");
}

static void what_is_not_known_is_left_out_of_the_line(void **state)
{
    struct progress_view view = copied(UNKNOWN);

    (void)state;
    the_line_is(&view, 80, "12 of 40 tables copied, 1,234,567 rows, 52,300 rows/s, 63 %");
    view.figures = (struct progress_figures){999, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
    the_line_is(&view, 80, "12 of 40 tables copied, 999 rows");
}

static void endless_work_has_no_percentage(void **state)
{
    struct progress_view view = {.what = "records",
                                 .did = "applied",
                                 .table = "orders",
                                 .tables = 1,
                                 .endless = true,
                                 .figures = {1000, 500, 20000, 41, 4}};

    (void)state;
    the_line_is(&view, 80,
                "orders: 1,000 records applied, 500 records/s, 20,000 to go, 41 s left");
    view.table = NULL;
    view.tables = 7;
    the_line_is(&view, 80,
                "7 tables: 1,000 records applied, 500 records/s, 20,000 to go, 41 s left");
}

static void the_time_left_is_as_coarse_as_it_is_long(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {{1, "1 s"},          {99, "99 s"},          {100, "2 min"},
                 {7199, "120 min"},   {7200, "2 h 0 min"},   {90061, "25 h 1 min"},
                 {172800, "2 d 0 h"}, {1000000, "11 d 13 h"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct progress_view view = copied(cases[i].s);
        AUTO(free_charp)
        char *expected =
            xasprintf("12 of 40 tables copied, 1,234,567 rows, 52,300 rows/s, 63 %%, %s left",
                      cases[i].text);

        the_line_is(&view, 200, expected);
    }
}

static void a_narrow_terminal_cuts_the_beginning_then_the_end(void **state)
{
    struct progress_view view = copied(240);

    (void)state;
    the_line_is(&view, 71, /* as long as the text: the last column would wrap on some */
                "12 of 40 tables cop... 1,234,567 rows, 52,300 rows/s, 63 %, 4 min left");
    the_line_is(&view, 60, "12 of 40... 1,234,567 rows, 52,300 rows/s, 63 %, 4 min left");
    the_line_is(&view, 50, "1,234,567 rows, 52,300 rows/s, 63 %, 4 min left");
    the_line_is(&view, 20, "1,234,567 rows, 52,");
    the_line_is(&view, 1, "");
    the_line_is(&view, 0, "");
}

static void a_name_is_cut_between_characters_and_never_wraps(void **state)
{
    struct progress_view view = copied(240);

    (void)state;
    view.table = "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87";
    the_line_is(&view, 80,
                "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87: "
                "1,234,567 rows copied, 52,300 rows/s, 63 %, 4 min left");
    /* room for seven columns: three characters of two each */
    the_line_is(&view, 66,
                "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad... "
                "1,234,567 rows copied, 52,300 rows/s, 63 %, 4 min left");
}

static void what_could_move_the_cursor_is_not_printed(void **state)
{
    struct progress_view view = copied(240);

    (void)state;
    view.table = "a\x1b[2Jb\n\xff\xc2\x85";
    the_line_is(&view, 100,
                "a?[2Jb???: 1,234,567 rows copied, 52,300 rows/s, 63 %, 4 min left");
}

static void the_end_says_what_was_done(void **state)
{
    struct progress_view view = copied(UNKNOWN);

    (void)state;
    view.took_ms = 24000;
    view.took_per_s = 51440;
    the_end_is(&view, "12 of 40 tables copied, 1,234,567 rows in 24 s, 51,440 rows/s");
    view.over = 40;
    the_end_is(&view, "40 tables copied, 1,234,567 rows in 24 s, 51,440 rows/s");
    view.table = "orders";
    view.took_per_s = UNKNOWN;
    the_end_is(&view, "orders: 1,234,567 rows copied in 24 s");
}

/* ---- tables ---- */

struct bench { /* tables, and what of them is due; a look per second */
    struct progress_tables *tables;
    int64_t now_ms;
    struct progress_due due[PROGRESS_DUE_AT_MOST];
    size_t due_count;
    size_t due_all;
};

static struct bench bench_begin(bool endless)
{
    return (struct bench){.tables = progress_tables_new(endless), .now_ms = 5000};
}

static void look(struct bench *b, const struct progress_work *works, size_t count)
{
    b->now_ms += 1000;
    progress_tables_begin_look(b->tables, b->now_ms);
    for (size_t i = 0; i < count; i++)
        progress_tables_note(b->tables, &works[i]);
    progress_tables_end_look(b->tables);
    b->due_count = progress_tables_due(b->tables, b->due, &b->due_all);
}

static struct progress_work rows(const char *table, int64_t done, int64_t left)
{
    return (struct progress_work){table, "rows", "copied", done, left, PROGRESS_RUNS};
}

/* So many looks at one table, each with more done than the one before; how many found it due.
 */
static size_t looks(struct bench *b, struct progress_work *work, int count, int64_t each)
{
    size_t due = 0;

    for (int i = 0; i < count; i++) {
        work->done += each;
        if (work->left >= 0)
            work->left = MAX(work->left - each, 0);
        look(b, work, 1);
        due += b->due_count;
    }
    return due;
}

static void a_table_is_due_once_a_minute_from_a_minute_after_it_began(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work work = rows("orders", 0, 100000);

    (void)state;
    assert_int_equal(looks(&b, &work, 60, 10), 0);
    assert_int_equal(looks(&b, &work, 1, 10), 1);
    assert_string_equal(b.due[0].table, "orders");
    assert_string_equal(b.due[0].what, "rows");
    assert_int_equal(b.due[0].figures.done, 610);
    assert_int_equal(b.due[0].figures.per_s, 10);
    assert_int_equal(b.due[0].figures.left, 99390);
    assert_int_equal(looks(&b, &work, 59, 20), 0);
    assert_int_equal(looks(&b, &work, 1, 20), 1);
    assert_int_equal(b.due[0].figures.per_s, 20); /* of the minute */
    progress_tables_free(b.tables);
}

static void nothing_is_due_when_nothing_goes_on(void **state)
{
    static const enum progress_state states[] = {PROGRESS_WAITS, PROGRESS_STANDS,
                                                 PROGRESS_OVER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct bench b = bench_begin(false);
        struct progress_work work = rows("orders", 5, 5);

        work.state = states[i];
        assert_int_equal(looks(&b, &work, 200, 0), 0);
        assert_int_equal(progress_tables_at_work(b.tables), states[i] == PROGRESS_WAITS);
        progress_tables_free(b.tables);
    }
}

static void a_table_that_makes_no_progress_is_due_all_the_same(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work work = rows("orders", 5, 5);

    (void)state;
    assert_int_equal(looks(&b, &work, 121, 0), 2);
    assert_int_equal(b.due[0].figures.per_s, 0);
    progress_tables_free(b.tables);
}

static void figures_begin_anew_with_another_pass_and_the_minutes_do_not(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work work = rows("orders", 0, UNKNOWN);

    (void)state;
    assert_int_equal(looks(&b, &work, 51, 1000), 0);
    work.what = "documents";
    work.done = 0;
    assert_int_equal(looks(&b, &work, 10, 7), 1);
    assert_string_equal(b.due[0].what, "documents");
    assert_int_equal(b.due[0].figures.per_s, 7);
    progress_tables_free(b.tables);
}

static void of_many_tables_those_with_the_most_left_are_due(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work works[50];
    AUTO(free_charp) char *names = xcalloc(50, 16);

    (void)state;
    for (int i = 0; i < 50; i++) {
        sprintf(names + i * 16, "t%d", i);
        works[i] = rows(names + i * 16, 0, i == 7 ? UNKNOWN : 1000 + i);
    }
    for (int i = 0; i < 61; i++)
        look(&b, works, 50);
    assert_int_equal(b.due_count, PROGRESS_DUE_AT_MOST);
    assert_int_equal(b.due_all, 50);
    for (size_t i = 0; i < b.due_count; i++)
        assert_int_equal(b.due[i].figures.left, 1049 - (int)i);
    progress_tables_free(b.tables);
}

static void a_table_that_is_not_noted_any_more_is_forgotten(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work works[] = {rows("a", 10, 90), rows("b", 20, 80)};
    struct progress_view view;

    (void)state;
    look(&b, works, 2);
    progress_tables_view(b.tables, &view);
    assert_int_equal(view.tables, 2);
    assert_null(view.table);
    assert_int_equal(view.figures.done, 30);
    assert_int_equal(view.figures.percent, 15);
    look(&b, works, 1);
    progress_tables_view(b.tables, &view);
    assert_string_equal(view.table, "a");
    assert_int_equal(view.figures.left, 90);
    look(&b, NULL, 0);
    assert_false(progress_tables_at_work(b.tables));
    progress_tables_free(b.tables);
}

static void one_table_without_an_estimate_makes_all_unknown_until_it_is_over(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work works[] = {rows("a", 10, 90), rows("b", 20, UNKNOWN)};
    struct progress_view view;

    (void)state;
    look(&b, works, 2);
    progress_tables_view(b.tables, &view);
    assert_int_equal(view.figures.percent, UNKNOWN);
    works[1].state = PROGRESS_OVER;
    works[1].left = 0;
    look(&b, works, 2);
    progress_tables_view(b.tables, &view);
    assert_int_equal(view.figures.percent, 25);
    assert_int_equal(view.over, 1);
    progress_tables_free(b.tables);
}

static void what_work_took_is_told_when_it_is_over(void **state)
{
    struct bench b = bench_begin(false);
    struct progress_work work = rows("orders", 0, 300);
    struct progress_view view;

    (void)state;
    looks(&b, &work, 10, 0);
    looks(&b, &work, 30, 10);
    work.state = PROGRESS_OVER;
    looks(&b, &work, 1, 0);
    assert_false(progress_tables_at_work(b.tables));
    progress_tables_view(b.tables, &view);
    assert_int_equal(view.took_ms, 40000);
    assert_int_equal(view.took_per_s, 7);
    progress_tables_free(b.tables);
}

/* ---- endless work ---- */

static struct progress_work records(int64_t done, int64_t left)
{
    return (struct progress_work){"orders", "records", "applied", done, left, PROGRESS_RUNS};
}

static void a_tail_that_keeps_up_is_never_due(void **state)
{
    struct bench b = bench_begin(true);
    struct progress_work work = records(0, 0);
    size_t due = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        work.done += 100;
        work.left = 900; /* nine seconds' worth on the way */
        look(&b, &work, 1);
        due += i > 2 ? b.due_count : 0;
        assert_true(i == 0 || progress_tables_at_work(b.tables));
    }
    assert_int_equal(due, 0);
    progress_tables_free(b.tables);
}

static void a_tail_that_is_behind_is_due_while_it_is(void **state)
{
    struct bench b = bench_begin(true);
    struct progress_work work = records(0, 100000);

    (void)state;
    assert_int_equal(looks(&b, &work, 61, 100), 1);
    assert_int_equal(b.due[0].figures.per_s, 100);
    assert_int_equal(b.due[0].figures.left, 93900);
    assert_int_equal(b.due[0].figures.left_s, 940);
    work.left = 0;
    assert_int_equal(looks(&b, &work, 300, 100), 0);
    progress_tables_free(b.tables);
}

static void an_idle_tail_is_not_at_work(void **state)
{
    struct bench b = bench_begin(true);
    struct progress_work work = records(700, 0);
    struct progress_view view;

    (void)state;
    looks(&b, &work, 10, 0);
    assert_false(progress_tables_at_work(b.tables)); /* what was done before is not known */
    looks(&b, &work, 3, 50);
    assert_true(progress_tables_at_work(b.tables));
    looks(&b, &work, 4, 0);
    assert_true(progress_tables_at_work(b.tables));
    looks(&b, &work, 1, 0);
    assert_false(progress_tables_at_work(b.tables));
    progress_tables_view(b.tables, &view);
    assert_int_equal(view.figures.done, 850);
    assert_int_equal(view.took_ms, 2000); /* to the last record, not to the end of the quiet */
    progress_tables_free(b.tables);
}

static void a_halted_table_is_not_waited_for(void **state)
{
    struct bench b = bench_begin(true);
    struct progress_work work = records(5, UNKNOWN);

    (void)state;
    work.state = PROGRESS_STANDS;
    assert_int_equal(looks(&b, &work, 200, 0), 0);
    assert_false(progress_tables_at_work(b.tables));
    progress_tables_free(b.tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_that_of_the_last_ten_seconds),
        cmocka_unit_test(a_rate_begins_anew_when_what_was_done_is_taken_back),
        cmocka_unit_test(looks_at_one_time_have_no_rate),
        cmocka_unit_test(percent_and_time_left_are_told_as_far_as_they_are_known),
        cmocka_unit_test(the_line_says_how_far_all_tables_are),
        cmocka_unit_test(what_is_not_known_is_left_out_of_the_line),
        cmocka_unit_test(endless_work_has_no_percentage),
        cmocka_unit_test(the_time_left_is_as_coarse_as_it_is_long),
        cmocka_unit_test(a_narrow_terminal_cuts_the_beginning_then_the_end),
        cmocka_unit_test(a_name_is_cut_between_characters_and_never_wraps),
        cmocka_unit_test(what_could_move_the_cursor_is_not_printed),
        cmocka_unit_test(the_end_says_what_was_done),
        cmocka_unit_test(a_table_is_due_once_a_minute_from_a_minute_after_it_began),
        cmocka_unit_test(nothing_is_due_when_nothing_goes_on),
        cmocka_unit_test(a_table_that_makes_no_progress_is_due_all_the_same),
        cmocka_unit_test(figures_begin_anew_with_another_pass_and_the_minutes_do_not),
        cmocka_unit_test(of_many_tables_those_with_the_most_left_are_due),
        cmocka_unit_test(a_table_that_is_not_noted_any_more_is_forgotten),
        cmocka_unit_test(one_table_without_an_estimate_makes_all_unknown_until_it_is_over),
        cmocka_unit_test(what_work_took_is_told_when_it_is_over),
        cmocka_unit_test(a_tail_that_keeps_up_is_never_due),
        cmocka_unit_test(a_tail_that_is_behind_is_due_while_it_is),
        cmocka_unit_test(an_idle_tail_is_not_at_work),
        cmocka_unit_test(a_halted_table_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

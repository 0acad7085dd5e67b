/* tests/unit/test_layout.c - a table of text in any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "status/layout.h"

static const struct layout_column columns[] = {
    {"NAME", 0, false}, {"ROWS", 2, true}, {"LAG", 1, true}, {"NEVER FILLED", 3, false}};

static void fill(struct layout *layout)
{
    struct layout_cell *cells;

    *layout = (struct layout){.columns = columns, .column_count = ARRAY_LEN(columns)};
    cells = layout_row(layout);
    cells[0].text = xstrdup("orders-of-a-year");
    cells[1].text = xstrdup("12345");
    cells[2] = (struct layout_cell){xstrdup("7s"), "\x1b[31m"};
    cells = layout_row(layout);
    cells[0].text = xstrdup("users");
    cells[2].text = xstrdup("100s");
    layout_note(layout, xstrdup("gap: why"));
}

static void is_shown(size_t width, bool in_color, const char *wanted)
{
    AUTO(layout_release) struct layout layout;
    AUTO(buf_release) struct buf out;

    buf_init(&out, 4096);
    fill(&layout);
    layout_write(&out, &layout, width, in_color);
    assert_string_equal(buf_cstr(&out), wanted);
}

static void columns_are_as_wide_as_what_they_hold(void **state)
{
    (void)state;
    is_shown(80, false,
             "NAME               ROWS   LAG\n"
             "orders-of-a-year  12345    7s\n"
             "users                    100s\n"
             "  gap: why\n");
}

static void the_least_important_column_is_left_out_first(void **state)
{
    (void)state;
    is_shown(28, false,
             "NAME               LAG\n"
             "orders-of-a-year    7s\n"
             "users             100s\n"
             "  gap: why\n");
    is_shown(18, false,
             "NAME\n"
             "orders-of-a-year\n"
             "users\n"
             "  gap: why\n");
}

static void the_first_column_is_cut_at_last(void **state)
{
    (void)state;
    is_shown(10, false,
             "NAME\n"
             "orders-of~\n"
             "users\n"
             "  gap: why\n");
    is_shown(1, false,
             "NAME\n"
             "orders-~\n"
             "users\n"
             "  gap: why\n");
}

static void colors_take_no_room(void **state)
{
    (void)state;
    is_shown(28, true,
             "NAME               LAG\n"
             "orders-of-a-year    \x1b[31m7s\x1b[0m\n"
             "users             100s\n"
             "  gap: why\n");
}

static void a_table_without_rows_has_its_titles(void **state)
{
    AUTO(layout_release)
    struct layout layout = {.columns = columns, .column_count = ARRAY_LEN(columns)};
    AUTO(buf_release) struct buf out;

    (void)state;
    buf_init(&out, 4096);
    layout_write(&out, &layout, 80, false);
    assert_string_equal(buf_cstr(&out), "NAME\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_what_they_hold),
        cmocka_unit_test(the_least_important_column_is_left_out_first),
        cmocka_unit_test(the_first_column_is_cut_at_last),
        cmocka_unit_test(colors_take_no_room),
        cmocka_unit_test(a_table_without_rows_has_its_titles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

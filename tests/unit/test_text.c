/* tests/unit/test_text.c - text taken apart, cut between characters, and read from a file. */
#include "common/base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The parts with | between them. */
static void parts_are(bool (*next)(struct bytes *, char, struct bytes *), const char *text,
                      const char *parts)
{
    AUTO(buf_release) struct buf b;
    struct bytes rest = bytes_of(text), part;

    buf_init(&b, 1000);
    for (int n = 0; next(&rest, ';', &part); n++)
        buf_printf(&b, "%s" BYTES_FMT, n ? "|" : "", BYTES_ARG(part));
    assert_string_equal(buf_cstr(&b), parts);
    assert_false(next(&rest, ';', &part));
}

static void a_text_is_taken_apart_at_its_separators(void **state)
{
    (void)state;
    parts_are(text_next, "a;b", "a|b");
    parts_are(text_next, ";a; b;;", "|a| b||");
    parts_are(text_next, "", "");
    parts_are(text_next_item, " a ;b\t;c d", "a|b|c d");
    parts_are(text_next_item, ";; \t;x;", "x");
    parts_are(text_next_item, " ; ", "");
}

static void a_pair_is_split_at_its_first_separator(void **state)
{
    struct bytes left, right;

    (void)state;
    assert_true(text_split(bytes_of(" a b = c=d "), '=', &left, &right));
    assert_true(bytes_is(left, "a b") && bytes_is(right, "c=d"));
    assert_true(text_split(bytes_of("="), '=', &left, &right));
    assert_true(left.len == 0 && right.len == 0);
    assert_false(text_split(bytes_of("ab"), '=', &left, &right));
    assert_false(text_split((struct bytes){0}, '=', &left, &right));
}

static void white_space_at_both_ends_goes(void **state)
{
    (void)state;
    assert_true(bytes_is(text_trim(bytes_of("\r\n a\tb \n")), "a\tb"));
    assert_int_equal(text_trim(bytes_of(" \t ")).len, 0);
    assert_int_equal(text_trim((struct bytes){0}).len, 0);
}

static void a_cut_leaves_whole_characters(void **state)
{
    struct bytes s = bytes_of("a\xe2\x82\xac"
                              "b"); /* a, the euro sign, b */

    (void)state;
    assert_int_equal(text_cut(s, 9), 5);
    assert_int_equal(text_cut(s, 5), 5);
    assert_int_equal(text_cut(s, 4), 4);
    assert_int_equal(text_cut(s, 3), 1);
    assert_int_equal(text_cut(s, 2), 1);
    assert_int_equal(text_cut(s, 1), 1);
    assert_int_equal(text_cut(s, 0), 0);
}

static void only_well_formed_sequences_have_a_length(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"\xf0\x9f\x98", 0},
        {"\xc3(", 0},
        {"\xe2\x28\xa1", 0},
        {"\xe2\x82(", 0},
        {"\xc0\x80", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xed\x9f\xbf", 3},
        {"\x80", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *p = cases[i].text;

        if (text_utf8_length(p, p + strlen(p)) != cases[i].length)
            fail_msg("case %zu", i);
    }
}

static int slurped(const char *path, size_t limit, struct error *err)
{
    AUTO(buf_release) struct buf b = {0};
    int why, result = text_slurp(&b, path, limit, err);

    why = errno;
    if (result == 0)
        assert_true(bytes_is(buf_slice(&b), "12345"));
    errno = why;
    return result;
}

static void a_file_is_read_whole_or_refused(void **state)
{
    char path[] = "/tmp/dynaferry-text-XXXXXX";
    int fd = mkstemp(path);
    struct error err = {0};

    (void)state;
    assert_int_equal(write(fd, "12345", 5), 5);
    close(fd);
    assert_int_equal(slurped(path, 5, &err), 0);
    assert_int_equal(slurped(path, 4, &err), -1);
    assert_int_equal(errno, EFBIG);
    assert_non_null(strstr(err.message, ": larger than 4 bytes"));
    unlink(path);
    assert_int_equal(slurped(path, 5, &err), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(slurped("/", 5, &err), -1);
    assert_int_equal(errno, EISDIR);
    assert_string_equal(err.message, "/: Is a directory");
    assert_int_equal(err.code, 78);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_taken_apart_at_its_separators),
        cmocka_unit_test(a_pair_is_split_at_its_first_separator),
        cmocka_unit_test(white_space_at_both_ends_goes),
        cmocka_unit_test(a_cut_leaves_whole_characters),
        cmocka_unit_test(only_well_formed_sequences_have_a_length),
        cmocka_unit_test(a_file_is_read_whole_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

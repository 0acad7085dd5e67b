/* The reader's promise by cases, and against jansson on random texts with fixed seeds. */
#include "common/json/json_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json/json_text.h"
#include "tests/fuzz/json_oracle.h"

static bool legal(struct bytes text)
{
    return json_oracle_compare(text) != 0 && json_oracle_skips(text);
}

static const char *const taken[] = {
    "0",
    "-0",
    "1.5",
    "-1.25e-7",
    "1E5",
    "1e+05",
    "9223372036854775807",
    " null ",
    "true",
    "false\n",
    "\"\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
    "\"\x7f\"",
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[1,2]",
    " [ 1 , \"a\" , [ ] ] ",
    "{\"a\":1,\"a\":{\"b\":[]}}",
    "{\"\":0}",
    "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
    "\"\\uD83D\\uDE00\"",
    "{\"\xe2\x82\xac\":\"\xf0\x9f\x98\x80\"}",
    "\r\n\t [\r\n\t ] ",
    /* legal JSON that jansson can't hold */
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "{\"\\u0000\":1}",
    "1e999",
    "99999999999999999999",
};

static const char *const refused[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "tru",
    "falsf",
    "01",
    "-01",
    "-",
    "+1",
    ".5",
    "1.",
    "1.e5",
    "1e",
    "1e+",
    "1e5.5",
    "0x10",
    "NaN",
    "Infinity",
    "'a'",
    "\"",
    "\"a",
    "\"\\",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"\\U0041\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x1f\"",
    "\"\\\n\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\":1}}",
    "1 2",
    "[] []",
    "{} //",
    "\xef\xbb\xbf[]",
    "\xc2\xa0[]",
    "[\v]",
    "[\f]",
    "\"a\"b",
    "nulltrue",
    /* no UTF-8: continuation alone, overlong, surrogate, past U+10FFFF, cut */
    "\"\x80\"",
    "\"\xbf\"",
    "\"\xc0\x80\"",
    "\"\xc1\xbf\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xed\xa0\x80\"",
    "\"\xed\xbf\xbf\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xe2\x82\"",
    "\"\xf0\x9f\x98\"",
    "\"\xc3(\"",
    "\"\xe2(\xa1\"",
    "\"\xf0\x9f(\x80\"",
    "{\"\xff\":1}",
};

static void legal_json_is_taken_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (!legal(bytes_of(taken[i])))
            fail_msg("refused: %s", taken[i]);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (legal(bytes_of(refused[i])))
            fail_msg("taken: %s", refused[i]);
    assert_false(legal((struct bytes){"\"a\0b\"", 5}));
    assert_false(legal((struct bytes){"[]\0", 3}));
}

/* A copy of the exact size, so that a look past the end is seen by the sanitizer. */
static char *exact_copy(struct bytes text)
{
    char *copy = xmalloc(text.len);

    memcpy(copy, text.p, text.len);
    return copy;
}

static void a_string_ends_where_it_ends_at_every_length_and_offset(void **state)
{
    static const struct {
        struct bytes odd;
        bool legal;
    } cases[] = {
        {BYTES_LIT(""), true},         {BYTES_LIT("\\\""), true},  {BYTES_LIT("\\\\"), true},
        {BYTES_LIT("\xc3\xa9"), true}, {BYTES_LIT("\x1f"), false}, {BYTES_LIT("\xff"), false},
        {BYTES_LIT("\x7f"), true},     {BYTES_LIT("\0"), false},   {BYTES_LIT("\\q"), false},
    };

    (void)state;
    for (size_t len = 0; len < 70; len++) {
        for (size_t at = 0; at <= len; at++) {
            for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                char text[128];
                size_t odd = cases[i].odd.len, whole = len + odd + 2;
                struct json_reader r;
                struct bytes raw;

                memset(text, 'x', whole);
                memcpy(text + 1 + at, cases[i].odd.p, odd);
                text[0] = text[whole - 1] = '"';
                AUTO(free_charp) char *copy = exact_copy((struct bytes){text, whole});
                json_reader_init(&r, (struct bytes){copy, whole});
                assert_int_equal(json_string(&r, &raw) && json_end(&r), cases[i].legal);
                if (cases[i].legal)
                    assert_true(raw.p == copy + 1 && raw.len == whole - 2);
                json_reader_init(&r, (struct bytes){copy, whole - 1});
                assert_false(json_skip(&r, NULL));
            }
        }
    }
}

static void depth_is_bounded_for_the_pull_interface_and_for_skipping(void **state)
{
    char text[2 * JSON_MAX_DEPTH + 2];
    struct json_reader r;

    (void)state;
    memset(text, '[', JSON_MAX_DEPTH + 1);
    memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    assert_true(legal((struct bytes){text + 1, 2 * JSON_MAX_DEPTH}));
    assert_false(legal((struct bytes){text, 2 * JSON_MAX_DEPTH + 2}));
    json_reader_init(&r, (struct bytes){text, sizeof(text)});
    assert_true(json_array_begin(&r) && json_array_next(&r));
    assert_false(json_skip(&r, NULL)); /* one within, all others skipped: as deep */
    assert_non_null(strstr(r.failed, "too deeply"));
    json_reader_init(&r, (struct bytes){text, sizeof(text)});
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        assert_true(json_array_begin(&r) && json_array_next(&r));
    assert_false(json_array_begin(&r));
    assert_false(json_array_next(&r));
}

static void slices_are_the_values_byte_for_byte(void **state)
{
    static const char text[] =
        " {\"a\" : [1, {\"x\":\"}\"} ] , \"\\u0062\" :-1.50E+3 ,\"c\":\"\\n\" } ";
    struct json_reader r;
    struct bytes name, value;

    (void)state;
    json_reader_init(&r, BYTES_LIT(text));
    assert_true(json_object_begin(&r));
    assert_true(json_object_next_skip(&r, &name, &value));
    assert_true(bytes_is(name, "a") && bytes_is(value, "[1, {\"x\":\"}\"} ]"));
    assert_true(json_object_next(&r, &name));
    assert_true(bytes_is(name, "\\u0062") && json_raw_is(name, BYTES_LIT("b")));
    assert_true(json_number(&r, &value) && bytes_is(value, "-1.50E+3"));
    assert_true(json_object_next(&r, &name) && json_string(&r, &value));
    assert_true(bytes_is(value, "\\n"));
    assert_false(json_object_next(&r, &name));
    assert_true(json_end(&r));
}

static void a_value_of_another_type_is_a_failure_that_stays(void **state)
{
    struct json_reader r;
    struct bytes slice;
    struct error err;
    int64_t n;
    bool b;

    (void)state;
    json_reader_init(&r, BYTES_LIT("{\"a\":[true, 1]}"));
    assert_true(json_object_begin(&r) && json_object_next(&r, &slice));
    assert_true(json_array_begin(&r) && json_array_next(&r));
    assert_false(json_string(&r, &slice));
    assert_false(json_bool(&r, &b) || json_array_next(&r) || json_object_next(&r, &slice) ||
                 json_null(&r) || json_int64(&r, &n) || json_object_begin(&r) ||
                 json_skip(&r, NULL) || json_end(&r) || json_peek(&r) != JSON_FAILED);
    assert_int_equal(json_reader_error(&r, &err), -1);
    assert_int_equal(err.kind, ERR_DATA);
    assert_string_equal(err.message, "JSON: a string was expected at byte 6");
}

static void each_scalar_refuses_the_others(void **state)
{
    static const char *const values[] = {"{}", "[]", "\"s\"", "1", "true", "null"};

    (void)state;
    for (size_t is = 0; is < ARRAY_LEN(values); is++) {
        for (size_t wanted = 0; wanted < ARRAY_LEN(values); wanted++) {
            struct json_reader r;
            struct bytes slice;
            bool b, found;

            json_reader_init(&r, bytes_of(values[is]));
            found = wanted == 0   ? json_object_begin(&r)
                    : wanted == 1 ? json_array_begin(&r)
                    : wanted == 2 ? json_string(&r, &slice)
                    : wanted == 3 ? json_number(&r, &slice)
                    : wanted == 4 ? json_bool(&r, &b)
                                  : json_null(&r);
            assert_int_equal(found, is == wanted);
            assert_int_equal(json_failed(&r), is != wanted);
        }
    }
}

static void a_text_that_was_not_read_to_its_end_is_no_end(void **state)
{
    struct json_reader r;
    struct bytes name;

    (void)state;
    json_reader_init(&r, BYTES_LIT("[1"));
    assert_true(json_array_begin(&r) && json_array_next(&r) && json_skip(&r, NULL));
    assert_false(json_end(&r));
    json_reader_init(&r, BYTES_LIT("{\"a\":1}"));
    assert_true(json_object_begin(&r) && json_object_next(&r, &name));
    assert_false(json_object_next(&r, &name)); /* the value was not read */
    assert_true(json_failed(&r));
}

static void integers_are_taken_when_they_fit(void **state)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_reader r;
        int64_t n = 77;

        json_reader_init(&r, bytes_of(cases[i].text));
        assert_int_equal(json_int64(&r, &n), cases[i].fits);
        assert_true(n == (cases[i].fits ? cases[i].value : 77));
    }
}

/* ---- random texts ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static unsigned below(uint64_t *seed, unsigned n)
{
    return (unsigned)(next_random(seed) >> 33) % n;
}

static const char *pick(uint64_t *seed, const char *const *list, size_t count)
{
    return list[below(seed, (unsigned)count)];
}

static void random_space(struct buf *out, uint64_t *seed)
{
    static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t\r "};

    buf_bytes(out, bytes_of(pick(seed, spaces, ARRAY_LEN(spaces))));
}

static void random_string(struct buf *out, uint64_t *seed)
{
    static const char *const pieces[] = {
        "a",        "bc",           "0123456789abcdef", "\\n",     "\\\"",
        "\\\\",     "\\/",          "\\u0041",          "\\u00e9", "\\uD83D\\uDE00",
        "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", " ",       "{",
        "}",        "\\t",          "\\u20ac",          ":",       ",",
    };
    static const char *const rare[] = {"\\u0000", "\\ud800", "\\udfff", "\\uDBFF\\n"};

    buf_char(out, '"');
    for (unsigned n = below(seed, 8); n; n--)
        buf_bytes(out, bytes_of(pick(seed, pieces, ARRAY_LEN(pieces))));
    if (below(seed, 60) == 0)
        buf_bytes(out, bytes_of(pick(seed, rare, ARRAY_LEN(rare))));
    buf_char(out, '"');
}

static void random_value(struct buf *out, uint64_t *seed, unsigned depth)
{
    static const char *const scalars[] = {
        "0",
        "-1",
        "12",
        "-0",
        "1.5",
        "2e3",
        "-7.25E-2",
        "123456789012345678",
        "true",
        "false",
        "null",
        "1e400",
        "12345678901234567890",
    };
    unsigned kind = below(seed, depth > 5 ? 5 : 10), members = below(seed, 5);

    random_space(out, seed);
    if (kind < 3) {
        random_string(out, seed);
    } else if (kind < 5) {
        /* the two out of jansson's range are rare */
        buf_bytes(
            out, bytes_of(pick(seed, scalars, ARRAY_LEN(scalars) - (below(seed, 20) ? 2 : 0))));
    } else {
        buf_char(out, kind < 8 ? '{' : '[');
        for (unsigned i = 0; i < members; i++) {
            if (i)
                buf_char(out, ',');
            random_space(out, seed);
            if (kind < 8) {
                random_string(out, seed);
                random_space(out, seed);
                buf_char(out, ':');
            }
            random_value(out, seed, depth + 1);
        }
        random_space(out, seed);
        buf_char(out, kind < 8 ? '}' : ']');
    }
    random_space(out, seed);
}

/* One byte flipped, dropped, doubled or overwritten by one that means something. */
static void mutate(struct buf *b, uint64_t *seed)
{
    static const char bytes[] = "\"\\{}[],:0-e.tn u\n\x80\xc3\xed\xff";
    size_t at;

    if (!b->len || !buf_reserve(b, 1))
        return;
    at = below(seed, (unsigned)b->len);
    switch (below(seed, 5)) {
    case 0:
        b->p[at] ^= (char)(1 << below(seed, 8));
        break;
    case 1:
        memmove(b->p + at, b->p + at + 1, b->len - at - 1);
        b->len--;
        break;
    case 2:
        memmove(b->p + at + 1, b->p + at, b->len - at);
        b->len++;
        break;
    case 3:
        b->p[at] = bytes[below(seed, sizeof(bytes))];
        break;
    default:
        b->len = at;
    }
}

static void it_agrees_with_jansson_on_random_texts(void **state)
{
    int results[3] = {0};

    (void)state;
    for (uint64_t n = 1; n <= 40000; n++) {
        uint64_t seed = n * 0x9e3779b97f4a7c15;
        struct buf text;

        buf_init(&text, 1 << 20);
        random_value(&text, &seed, 0);
        for (unsigned i = below(&seed, 3); i; i--)
            mutate(&text, &seed);
        AUTO(free_charp) char *copy = exact_copy(buf_slice(&text));
        results[json_oracle_compare((struct bytes){copy, text.len})]++;
        buf_release(&text);
    }
    /* else the texts would show nothing */
    assert_true(results[0] > 5000 && results[1] > 10000 && results[2] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_json_is_taken_and_nothing_else),
        cmocka_unit_test(a_string_ends_where_it_ends_at_every_length_and_offset),
        cmocka_unit_test(depth_is_bounded_for_the_pull_interface_and_for_skipping),
        cmocka_unit_test(slices_are_the_values_byte_for_byte),
        cmocka_unit_test(a_value_of_another_type_is_a_failure_that_stays),
        cmocka_unit_test(each_scalar_refuses_the_others),
        cmocka_unit_test(a_text_that_was_not_read_to_its_end_is_no_end),
        cmocka_unit_test(integers_are_taken_when_they_fit),
        cmocka_unit_test(it_agrees_with_jansson_on_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

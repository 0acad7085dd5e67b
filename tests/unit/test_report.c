/* tests/unit/test_report.c - a line of the report is one JSON object on one line, whatever
 * stands in names, values and _ids, and however much of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/check.h"
#include "fullcheck/report.h"

#define LINE_CEILING ((size_t)4 << 20) /* as a look has it */

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

static const struct canon_form change = {.change = true, .id_prefix = "pre"};

static const struct bytes odd[] = {
    BYTES_LIT(""),
    BYTES_LIT("\0"),
    BYTES_LIT("a\0b"),
    BYTES_LIT("\x01\x02\n\r\t\b\f\x1f\x7f"),
    BYTES_LIT("\"\\/\"}],{"),
    BYTES_LIT("\xff"),
    BYTES_LIT("\x80\xc3"),
    BYTES_LIT("\xc0\x80\xf8\x88\x80\x80\x80"),
    BYTES_LIT("\xe2\x82"),
    BYTES_LIT("\xf4\x90\x80\x80"),
    BYTES_LIT("\xe2\x80\xa8\xe2\x80\xa9\xf0\x9f\x98\x80"),
    BYTES_LIT("_id"),
};
static const struct bytes lone_surrogate = BYTES_LIT("\xed\xa0\xbd");

/* ---- what a line must be ---- */

static json_t *parsed(const struct buf *line)
{
    json_error_t why;
    json_t *json;

    assert_false(line->overflow);
    assert_null(memchr(line->p, '\n', line->len));
    json = json_loadb(line->p, line->len, JSON_ALLOW_NUL, &why);
    if (!json)
        fail_msg("%s: %.*s", why.text, (int)MIN(line->len, 500), line->p);
    return json;
}

static json_t *line_of(enum difference_kind kind, struct bytes key, struct bytes paths,
                       struct bytes ids)
{
    AUTO(buf_release) struct buf line = {.ceiling = LINE_CEILING};
    const struct difference d = {.table = "orders",
                                 .key = key,
                                 .kind = kind,
                                 .paths = paths,
                                 .ids = ids,
                                 .ts_ms = 1,
                                 .rechecks = 2};

    report_difference(&line, &d);
    buf_char(&line, '}');
    return parsed(&line);
}

#define KEY BYTES_LIT("{\"pk\":{\"S\":\"x\"}}")

/* ---- paths ---- */

static void on_part(void *arg, const struct compare_path *path, const struct canon *source,
                    const struct canon *target)
{
    report_path(arg, path, source, target);
}

/* {"m": {NAME: item's}} and {"m": {NAME: document's}}. */
static void compare_odd(struct buf *paths, struct bytes name, struct bytes source,
                        struct bytes target)
{
    struct canon_arena arena;
    struct compare c = {.form = &change, .arena = &arena, .parts = on_part, .arg = paths};
    struct canon nodes[6] = {{.type = CANON_MAP}, {.type = CANON_MAP}, {.type = CANON_STRING},
                             {.type = CANON_MAP}, {.type = CANON_MAP}, {.type = CANON_STRING}};

    canon_arena_init(&arena);
    for (int side = 0; side < 2; side++) {
        struct canon *n = nodes + 3 * side, *last = NULL, *inner_last = NULL;

        n[1].name = BYTES_LIT("m");
        n[2].name = name;
        n[2].text = side ? target : source;
        canon_append(&n[0], &last, &n[1]);
        canon_append(&n[1], &inner_last, &n[2]);
    }
    compare_maps(&c, &nodes[0], &nodes[3]);
    canon_arena_release(&arena);
}

static void odd_names_and_values_make_a_line_of_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        for (size_t j = 0; j < ARRAY_LEN(odd); j++) {
            AUTO(buf_release) struct buf paths = {.ceiling = LINE_CEILING};
            json_t *line, *part;

            compare_odd(&paths, odd[i], odd[j], odd[(j + 1) % ARRAY_LEN(odd)]);
            line = line_of(DIFFERENCE_DIFFERENT, KEY, buf_slice(&paths), BYTES_LIT(""));
            part = json_array_get(json_object_get(line, "paths"), 0);
            assert_int_equal(json_array_size(json_object_get(line, "paths")), 1);
            assert_int_equal(json_array_size(json_object_get(part, "path")), 2);
            assert_true(json_is_string(json_array_get(json_object_get(part, "path"), 1)));
            assert_true(json_is_object(json_object_get(part, "source")));
            assert_true(json_is_object(json_object_get(part, "target")));
            json_decref(line);
        }
}

/* Legal JSON, which not every reader takes. */
static void half_a_surrogate_pair_stays_an_escape(void **state)
{
    AUTO(buf_release) struct buf paths = {.ceiling = LINE_CEILING};

    (void)state;
    compare_odd(&paths, lone_surrogate, lone_surrogate, BYTES_LIT("x"));
    assert_string_equal(
        buf_cstr(&paths),
        "{\"path\":[\"m\",\"\\ud83d\"],\"source\":{\"type\":\"string\",\"text\":"
        "\"\\ud83d\"},\"target\":{\"type\":\"string\",\"text\":\"x\"}}");
}

/* Names and values as large as a document can have them, many of them. */
static void much_to_tell_is_cut_and_the_line_stays_whole(void **state)
{
    AUTO(buf_release) struct buf paths = {.ceiling = LINE_CEILING};
    size_t len = (size_t)8 << 20;
    char *long_text = xmalloc(len);
    json_t *line;

    (void)state;
    memset(long_text, '\x01', len); /* each is six bytes in JSON */
    for (int i = 0; i < 5; i++)
        compare_odd(&paths, (struct bytes){long_text, i == 0 ? 1 : len},
                    (struct bytes){long_text, len}, BYTES_LIT("x"));
    line = line_of(DIFFERENCE_DIFFERENT, KEY, buf_slice(&paths), BYTES_LIT(""));
    assert_in_range(json_array_size(json_object_get(line, "paths")), 1, 5);
    json_decref(line);
    buf_reset(&paths);
    for (int i = 0; i < 10000; i++)
        compare_odd(&paths, BYTES_LIT("name"), (struct bytes){long_text, 100}, BYTES_LIT("x"));
    assert_true(paths.len < (size_t)300 << 10);
    line = line_of(DIFFERENCE_DIFFERENT, KEY, buf_slice(&paths), BYTES_LIT(""));
    assert_in_range(json_array_size(json_object_get(line, "paths")), 100, 9999);
    json_decref(line);
    free(long_text);
}

/* ---- _ids ---- */

static const char *const ids[] = {
    "{\"_id\":1}",
    "{\"_id\":\"x\"}",
    "{}",
    "{\"_id\":null}",
    "{\"_id\":{\"$oid\":\"0123456789abcdef01234567\"}}",
    "{\"_id\":{\"pk\":\"a\\u0000\\\"\\n\",\"sk\":{\"$numberDecimal\":\"1E-130\"}}}",
    "{\"_id\":{\"$numberDouble\":\"NaN\"}}",
    "{\"_id\":{\"$date\":{\"$numberLong\":\"-99999999999999\"}}}",
    "{\"_id\":{\"$regularExpression\":{\"pattern\":\"a\\\"b\\\\\",\"options\":\"i\"}}}",
    "{\"_id\":{\"$minKey\":1}}",
    "{\"_id\":{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"04\"}}}",
    "{\"_id\":{\"\":{\"x\\ny\":[]}}}",
};

static void any_id_can_be_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        AUTO(bson_freep) bson_t *d = bson_new_from_json((const uint8_t *)ids[i], -1, NULL);
        AUTO(buf_release) struct buf text = {.ceiling = 1 << 20};
        json_t *line;

        assert_non_null(d);
        report_id(&text, d);
        report_id(&text, d);
        line = line_of(DIFFERENCE_EXTRA, KEY, BYTES_LIT(""), buf_slice(&text));
        assert_int_equal(json_array_size(json_object_get(line, "ids")), 2);
        json_decref(line);
    }
}

static void an_id_that_is_no_utf8_or_very_deep_can_be_shown(void **state)
{
    AUTO(bson_freep) bson_t *bad = bson_new(), *deep = BCON_NEW("x", "y");
    AUTO(buf_release) struct buf text = {.ceiling = 1 << 20};
    json_t *line;

    (void)state;
    bson_append_utf8(bad, "_id", 3, "\xff\xfe", 2);
    report_id(&text, bad);
    for (int i = 0; i < 300; i++) {
        bson_t *outer = BCON_NEW(i == 299 ? "_id" : "x", BCON_DOCUMENT(deep));

        bson_destroy(deep);
        deep = outer;
    }
    report_id(&text, deep);
    line = line_of(DIFFERENCE_EXTRA, KEY, BYTES_LIT(""), buf_slice(&text));
    assert_int_equal(json_array_size(json_object_get(line, "ids")), 2);
    json_decref(line);
}

static void very_many_and_very_long_ids_are_cut(void **state)
{
    AUTO(buf_release) struct buf text = {.ceiling = 1 << 20}; /* as a look has it */
    AUTO(bson_freep) bson_t *d = bson_new();
    size_t len = (size_t)64 << 10;
    char *long_text = xmalloc(len);
    json_t *line;

    (void)state;
    memset(long_text, 'x', len);
    bson_append_utf8(d, "_id", 3, long_text, (int)len);
    for (int i = 0; i < 10000; i++)
        report_id(&text, d);
    assert_false(text.overflow);
    line = line_of(DIFFERENCE_DUPLICATE, KEY, BYTES_LIT(""), buf_slice(&text));
    assert_in_range(json_array_size(json_object_get(line, "ids")), 2, 9999);
    json_decref(line);
    free(long_text);
}

/* ---- the file ---- */

static void a_file_that_could_not_be_written_to_its_end_is_an_error(void **state)
{
    struct report r;
    struct error err = {0};

    (void)state;
    assert_int_equal(report_open(&r, "/nonexistent/folder/file", &err), -1);
    assert_int_equal(err.kind, ERR_FATAL);
    assert_int_equal(report_open(&r, "/dev/full", &err), 0);
    report_write(&r, BYTES_LIT("{\"a\":1"), false);
    assert_int_equal(report_close(&r, &err), -1);
    assert_int_equal(err.kind, ERR_FATAL);
}

static void a_line_is_closed_and_says_what_was_repaired(void **state)
{
    char path[] = "/tmp/dynaferry-test-report-XXXXXX", text[256];
    int fd = mkstemp(path);
    struct report r;
    struct error err;
    ssize_t len;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(report_open(&r, path, &err), 0);
    report_write(&r, BYTES_LIT("{\"a\":1"), false);
    report_write(&r, BYTES_LIT("{\"a\":2"), true);
    assert_int_equal(report_close(&r, &err), 0);
    len = read(fd, text, sizeof(text) - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_string_equal(text, "{\"a\":1}\n{\"a\":2,\"repaired\":true}\n");
    close(fd);
    unlink(path);
}

/* ---- the summary ---- */

static void the_summary_is_json_whatever_the_reason_says(void **state)
{
    struct table_result tables[2] = {{.table = (char *)"orders",
                                      .result = RESULT_UNKNOWN,
                                      .documents = -1,
                                      .index = "not checked"},
                                     {.table = (char *)"users",
                                      .result = RESULT_DIFFERENT,
                                      .documents = 7,
                                      .differences = {1, 2, 3, 4},
                                      .complete = true,
                                      .index = "ok"}};
    const struct summary s = {.result = RESULT_DIFFERENT,
                              .reason = "\"\n\xff",
                              .tables = tables,
                              .count = ARRAY_LEN(tables)};
    AUTO(free_charp) char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    json_t *json, *first;

    (void)state;
    buf_init(&tables[0].reason, 100);
    buf_lit(&tables[0].reason, "MongoDB: \"\\\x01\xff\n");
    report_summary_json(out, &s);
    fclose(out);
    json = json_loadb(text, len, 0, NULL);
    assert_non_null(json);
    first = json_array_get(json_object_get(json, "tables"), 0);
    assert_true(json_is_null(json_object_get(first, "documents")));
    assert_int_equal(json_array_size(json_object_get(json, "tables")), 2);
    json_decref(json);
    buf_release(&tables[0].reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_names_and_values_make_a_line_of_json),
        cmocka_unit_test(half_a_surrogate_pair_stays_an_escape),
        cmocka_unit_test(much_to_tell_is_cut_and_the_line_stays_whole),
        cmocka_unit_test(any_id_can_be_shown),
        cmocka_unit_test(an_id_that_is_no_utf8_or_very_deep_can_be_shown),
        cmocka_unit_test(very_many_and_very_long_ids_are_cut),
        cmocka_unit_test(a_file_that_could_not_be_written_to_its_end_is_an_error),
        cmocka_unit_test(a_line_is_closed_and_says_what_was_repaired),
        cmocka_unit_test(the_summary_is_json_whatever_the_reason_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_canon.c - items and documents become trees: of whole and right ones only,
 * with equal digests for equal ones, and texts that can be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "fullcheck/canon_document.h"
#include "fullcheck/canon_item.h"
#include "fullcheck/compare.h"

DEFINE_FREEP(bson_t, bson_freep, bson_destroy)

static const struct canon_form change = {.change = true, .id_prefix = "pre"};
static const struct canon_form raw = {.id_prefix = "pre"};

static struct canon_arena arena;

static int open_arena(void **state)
{
    (void)state;
    canon_arena_init(&arena);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    canon_arena_release(&arena);
    return 0;
}

static struct canon *item_of(const char *json)
{
    struct canon *item;
    struct error err;

    if (canon_item(&item, &arena, bytes_of(json), &raw, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    return item;
}

/* ---- items ---- */

static const char whole[] =
    "{\"pk\":{\"S\":\"a\\u0000\\ud83d\\ude00\xc3\xa9\"},\"_id\":{\"N\":\"-1.5E-3\"},\"b\":{"
    "\"B\":\"AP8=\"},"
    "\"t\":{\"BOOL\":true},\"n\":{\"NULL\":true},\"ss\":{\"SS\":[\"x\",\"y\"]},\"ns\":{\"NS\":["
    "\"1\",\"2\"]},"
    "\"bs\":{\"BS\":[\"AA==\",\"\"]},\"l\":{\"L\":[{\"M\":{\"x\":{}}},{\"L\":[]}]},\"e\":{}}";

/* A copy of the exact size, so that a read past the end is seen. */
static int read_exactly(const char *text, size_t len)
{
    char *copy = xmalloc(len + 1);
    struct canon *item = (struct canon *)&arena;
    struct error err = {0};
    int result;

    memcpy(copy, text, len);
    copy = xrealloc(copy, len ? len : 1);
    result = canon_item(&item, &arena, (struct bytes){copy, len}, &raw, &err);
    if (result < 0) {
        assert_int_equal(err.kind, ERR_RETRY);
        assert_ptr_equal(item, &arena); /* untouched */
    }
    free(copy);
    return result;
}

static void an_item_cut_at_any_byte_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(read_exactly(whole, sizeof(whole) - 1), 0);
    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        if (read_exactly(whole, len) == 0)
            fail_msg("%.*s was an item", (int)len, whole);
}

static void what_is_no_item_is_an_error(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "\"x\"",
        "{} x",
        "{}{}",
        "{\"a\":5}",
        "{\"a\":\"x\"}",
        "{\"a\":[]}",
        "{\"a\":{\"S\":5}}",
        "{\"a\":{\"S\":null}}",
        "{\"a\":{\"N\":5}}",
        "{\"a\":{\"N\":\"\"}}",
        "{\"a\":{\"N\":\"five\"}}",
        "{\"a\":{\"B\":\"A\"}}",
        "{\"a\":{\"B\":\"A===\"}}",
        "{\"a\":{\"BOOL\":\"true\"}}",
        "{\"a\":{\"BOOL\":1}}",
        "{\"a\":{\"NULL\":false}}",
        "{\"a\":{\"NULL\":null}}",
        "{\"a\":{\"SS\":\"x\"}}",
        "{\"a\":{\"SS\":[1]}}",
        "{\"a\":{\"SS\":[{\"S\":\"x\"}]}}",
        "{\"a\":{\"NS\":[\"x\"]}}",
        "{\"a\":{\"BS\":[\"x\"]}}",
        "{\"a\":{\"L\":{}}}",
        "{\"a\":{\"L\":[\"x\"]}}",
        "{\"a\":{\"M\":[]}}",
        "{\"a\":{\"X\":\"x\"}}",
        "{\"a\":{\"XS\":[]}}",
        "{\"a\":{\"s\":\"x\"}}",
        "{\"a\":{\"\":\"x\"}}",
        "{\"a\":{\"S\":\"x\",\"N\":\"1\"}}",
        "{\"a\":{\"S\":\"\xff\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (read_exactly(texts[i], strlen(texts[i])) == 0)
            fail_msg("%s was an item", texts[i]);
}

/* {"a":{"L":[{"L":[ ... ]}]}} */
static char *nested_item(int levels)
{
    AUTO(buf_release) struct buf text = {.ceiling = 1 << 20};

    buf_lit(&text, "{\"a\":{\"NULL\":true},\"b\":");
    for (int i = 0; i < levels; i++)
        buf_lit(&text, "{\"L\":[");
    buf_lit(&text, "{\"N\":\"1\"}");
    for (int i = 0; i < levels; i++)
        buf_lit(&text, "]}");
    buf_char(&text, '}');
    return xstrdup(buf_cstr(&text));
}

static void nesting_is_read_as_deep_as_the_service_has_it_and_never_without_end(void **state)
{
    AUTO(free_charp) char *legal = nested_item(32), *deep = nested_item(100000 / 8);

    (void)state;
    assert_int_equal(read_exactly(legal, strlen(legal)), 0);
    assert_int_equal(read_exactly(deep, strlen(deep)), -1);
}

/* ---- documents ---- */

static bson_t *nested_document(int levels, bool wrapped)
{
    bson_t *inner = BCON_NEW("N", "1");

    for (int i = 0; i < levels; i++) {
        bson_t *outer = wrapped && i % 2 == 0
                            ? BCON_NEW("L", "[", BCON_DOCUMENT(inner), "]")
                            : BCON_NEW("M", "{", "x", BCON_DOCUMENT(inner), "}");

        bson_destroy(inner);
        inner = outer;
    }
    return inner;
}

static int depth_of(const struct canon *c)
{
    int deepest = 0;

    if (c->type == CANON_MAP || c->type == CANON_LIST)
        for (const struct canon *child = c->first; child; child = child->next) {
            int depth = depth_of(child);

            deepest = MAX(deepest, depth);
        }
    return deepest + 1;
}

static void a_document_deeper_than_mongodb_takes_ends_in_something_unreadable(void **state)
{
    static const int levels[] = {40, 60, 119, 125, 500};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        for (int wrapped = 0; wrapped < 2; wrapped++) {
            AUTO(bson_freep) bson_t *document = nested_document(levels[i], wrapped);
            const struct canon *map =
                canon_document(&arena, document, wrapped ? &raw : &change);

            assert_in_range(depth_of(map), 1, 125);
        }
}

static const struct canon *only_member(const bson_t *document, const struct canon_form *form)
{
    const struct canon *map = canon_document(&arena, document, form);

    assert_int_equal(map->count, 1);
    return map->first;
}

static void a_bson_type_that_stands_for_nothing_is_kept_as_such(void **state)
{
    static const char *const values[] = {
        "{\"$oid\":\"0123456789abcdef01234567\"}",
        "{\"$date\":{\"$numberLong\":\"1\"}}",
        "{\"$timestamp\":{\"t\":1,\"i\":2}}",
        "{\"$regularExpression\":{\"pattern\":\"a\\\"\",\"options\":\"i\"}}",
        "{\"$minKey\":1}",
        "{\"$maxKey\":1}",
        "{\"$undefined\":true}",
        "{\"$code\":\"x\"}",
        "{\"$numberDecimal\":\"NaN\"}",
        "{\"$numberDouble\":\"Infinity\"}",
        "{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"05\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        AUTO(free_charp) char *json = xasprintf("{\"_id\":1,\"a\":%s}", values[i]);
        AUTO(bson_freep) bson_t *d = bson_new_from_json((const uint8_t *)json, -1, NULL);

        if (!d)
            fail_msg("%s", json);
        assert_int_equal(only_member(d, &change)->type, CANON_OTHER);
        assert_true(only_member(d, &change)->text.len > 0);
        assert_int_equal(only_member(d, &raw)->type, CANON_OTHER);
    }
}

/* Bytes that are no BSON from some place on never look like a document that ends there. */
static void a_document_that_breaks_off_is_not_taken_for_a_shorter_one(void **state)
{
    static const struct canon_form *const forms[] = {&change, &raw};

    (void)state;
    for (int inner = 0; inner < 2; inner++)
        for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
            AUTO(bson_freep)
            bson_t *good = inner ? BCON_NEW("a", "{", "S", "x", "}", "m", "{", "M", "{", "b",
                                            "{", "S", "y", "}", "c", BCON_BOOL(true), "}", "}")
                                 : BCON_NEW("a", "{", "S", "x", "}", "c", BCON_BOOL(true));
            uint8_t *bytes = xmalloc(good->len);
            const struct canon *map, *member;
            bson_t bad;

            memcpy(bytes, bson_get_data(good), good->len);
            *(uint8_t *)memchr(bytes + good->len - 8 - 2 * inner, 1, 8) = 7; /* true */
            assert_true(bson_init_static(&bad, bytes, good->len));
            map = canon_document(&arena, &bad, forms[i]);
            member = inner ? canon_member(map, BYTES_LIT("m")) : map->first->next;
            assert_non_null(member);
            if (inner && member->type == CANON_MAP && forms[i]->change)
                member = canon_member(member, BYTES_LIT("M"));
            assert_non_null(member);
            assert_int_equal(member->type, CANON_OTHER);
            free(bytes);
        }
}

/* ---- digests ---- */

static void equal_items_have_equal_digests(void **state)
{
    static const char *const pairs[][2] = {
        {"{\"a\":{\"N\":\"1\"},\"b\":{\"S\":\"x\"}}",
         "{\"b\":{\"S\":\"\\u0078\"},\"a\":{\"N\":\"1.0\"}}"},
        {"{\"a\":{\"NS\":[\"1\",\"2\",\"30\"]}}", "{\"a\":{\"NS\":[\"3E1\",\"1\",\"2.0\"]}}"},
        {"{\"a\":{\"M\":{\"x\":{},\"y\":{\"B\":\"AP8=\"}}}}",
         "{\"a\":{\"M\":{\"y\":{\"B\":\"AP8=\"},\"x\":{\"M\":{}}}}}"},
        {"{\"a\":{\"N\":\"-0\"}}", "{\"a\":{\"N\":\"0.0E5\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        assert_true(canon_digest(item_of(pairs[i][0])) == canon_digest(item_of(pairs[i][1])));
}

static void items_that_differ_have_other_digests(void **state)
{
    static const char *const items[] = {
        "{}",
        "{\"a\":{\"S\":\"\"}}",
        "{\"a\":{\"B\":\"\"}}",
        "{\"a\":{\"NULL\":true}}",
        "{\"a\":{\"L\":[]}}",
        "{\"a\":{\"M\":{}}}",
        "{\"b\":{\"M\":{}}}",
        "{\"a\":{\"BOOL\":true}}",
        "{\"a\":{\"BOOL\":false}}",
        "{\"a\":{\"N\":\"0\"}}",
        "{\"a\":{\"N\":\"1\"}}",
        "{\"a\":{\"N\":\"-1\"}}",
        "{\"a\":{\"N\":\"10\"}}",
        "{\"a\":{\"S\":\"1\"}}",
        "{\"a\":{\"SS\":[\"1\"]}}",
        "{\"a\":{\"NS\":[\"1\"]}}",
        "{\"a\":{\"L\":[{\"S\":\"1\"}]}}",
        "{\"a\":{\"L\":[{\"S\":\"1\"},{\"S\":\"2\"}]}}",
        "{\"a\":{\"L\":[{\"S\":\"2\"},{\"S\":\"1\"}]}}",
        "{\"a\":{\"L\":[{\"L\":[]},{\"L\":[]}]}}",
        "{\"a\":{\"L\":[{\"L\":[{\"L\":[]}]}]}}",
        "{\"a\":{\"S\":\"x\"},\"b\":{\"S\":\"y\"}}",
        "{\"a\":{\"S\":\"y\"},\"b\":{\"S\":\"x\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        for (size_t j = 0; j < i; j++)
            if (canon_digest(item_of(items[i])) == canon_digest(item_of(items[j])))
                fail_msg("%s and %s", items[i], items[j]);
}

/* ---- texts ---- */

static void assert_cut(const struct canon *c, const char *text, size_t at_most)
{
    AUTO(buf_release) struct buf out = {.ceiling = 1 << 16};

    buf_lit(&out, "> ");
    canon_text(&out, c, at_most);
    assert_true(out.len <= 2 + at_most + 3);
    assert_memory_equal(out.p, "> ", 2);
    if (strlen(text) <= at_most) {
        assert_string_equal(buf_cstr(&out) + 2, text);
        return;
    }
    out.len -= 3;
    assert_memory_equal(out.p + out.len, "...", 3);
    assert_memory_equal(out.p + 2, text, out.len - 2);
    assert_true(out.len - 2 + 3 >= at_most); /* no more was cut than a character */
    assert_true(bson_utf8_validate(out.p, out.len, true));
}

static void a_text_is_cut_between_characters_and_never_longer_than_asked_for(void **state)
{
    static const struct {
        const char *item, *text;
    } cases[] = {
        {"{\"a\":{\"S\":\"x\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xc3\xa9\"}}",
         "x\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xc3\xa9"},
        {"{\"a\":{\"SS\":[\"x\xc3\xa9\",\"\xe2\x82\xac\",\"\xf0\x9f\x98\x80\"]}}",
         "<\"x\xc3\xa9\", \"\xe2\x82\xac\", \"\xf0\x9f\x98\x80\">"},
        {"{\"a\":{\"M\":{\"\xe2\x82\xac\":{\"L\":[{\"N\":\"1E10\"},{\"NULL\":true},{\"BOOL\":"
         "false}]}}}}",
         "{\"\xe2\x82\xac\": [10000000000, null, false]}"},
        {"{\"a\":{\"B\":\"AAECAwQFBgcICQ==\"}}", "AAECAwQFBgcICQ=="},
        {"{\"a\":{\"N\":\"-1E-20\"}}", "-0.00000000000000000001"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t at_most = 0; at_most < 40; at_most++)
            assert_cut(item_of(cases[i].item)->first, cases[i].text, at_most);
}

static void memory_behind_a_mark_goes_and_what_was_before_stays(void **state)
{
    struct canon *first = item_of("{\"a\":{\"S\":\"\\u0078\"}}");
    uint64_t before = canon_digest(first);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        void *mark = canon_arena_mark(&arena);

        item_of(whole);
        canon_arena_back(&arena, mark);
    }
    assert_true(canon_digest(first) == before);
    assert_true(obstack_memory_used(&arena.memory) < (1 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_item_cut_at_any_byte_is_an_error, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(what_is_no_item_is_an_error, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            nesting_is_read_as_deep_as_the_service_has_it_and_never_without_end, open_arena,
            close_arena),
        cmocka_unit_test_setup_teardown(
            a_document_deeper_than_mongodb_takes_ends_in_something_unreadable, open_arena,
            close_arena),
        cmocka_unit_test_setup_teardown(a_bson_type_that_stands_for_nothing_is_kept_as_such,
                                        open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_document_that_breaks_off_is_not_taken_for_a_shorter_one, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(equal_items_have_equal_digests, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(items_that_differ_have_other_digests, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(
            a_text_is_cut_between_characters_and_never_longer_than_asked_for, open_arena,
            close_arena),
        cmocka_unit_test_setup_teardown(memory_behind_a_mark_goes_and_what_was_before_stays,
                                        open_arena, close_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

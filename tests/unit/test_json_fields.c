/* tests/unit/test_json_fields.c - a table of fields reads what it writes, copies and frees it,
 * and says which member is wrong. */
#include "common/json/json_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum size {
    SMALL,
    LARGE,
};
static const char *const size_names[] = {"small", "large"};
static const struct json_kind size_kind = {.names = size_names, .name_count = 2};

struct thing {
    char *name;
    char *nick;
    char *note;
    int64_t when_ms;
    int64_t rows;
    int32_t partition;
    bool open;
    bool marked;
    enum size size;
    struct bytes raw;
};

static const struct json_field list[] = {
    JSON_FIELD("name", struct thing, name, &json_fields_text),
    JSON_FIELD("nick", struct thing, nick, &json_fields_text_or_null),
    JSON_FIELD("note", struct thing, note, &json_fields_text_or_none),
    JSON_FIELD("when_ms", struct thing, when_ms, &json_fields_int64),
    JSON_FIELD("rows", struct thing, rows, &json_fields_count),
    JSON_FIELD("partition", struct thing, partition, &json_fields_int32),
    JSON_FIELD("open", struct thing, open, &json_fields_bool),
    JSON_FIELD("marked", struct thing, marked, &json_fields_mark),
    JSON_FIELD("size", struct thing, size, &size_kind),
};
static const struct json_fields fields = JSON_FIELDS("a thing", struct thing, list);

#define SHORT                                                                                  \
    "{\"name\":\"a\\n\",\"nick\":null,\"when_ms\":-1,\"rows\":0,\"partition\":3,\"open\":"     \
    "true,\"size\":\"small\"}"
#define LONG                                                                                   \
    "{\"name\":\"\",\"nick\":\"n\",\"note\":\"\",\"when_ms\":5,\"rows\":9,\"partition\":0,"    \
    "\"open\":false,\"marked\":true,\"size\":\"large\"}"

static struct thing decoded(const char *json)
{
    struct thing t;
    struct error err;

    if (json_fields_decode(&t, &fields, bytes_of(json), &err) < 0)
        fail_msg("%s: %s", json, err.message);
    return t;
}

static void thing_release(struct thing *t)
{
    json_fields_release(t, &fields);
}

static void what_is_written_is_read_and_what_is_read_is_written(void **state)
{
    static const char *const texts[] = {SHORT, LONG};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(buf_release) struct buf out = {.ceiling = 1000};
        AUTO(thing_release) struct thing t = decoded(texts[i]);

        json_fields_encode(&out, &t, &fields);
        assert_true(bytes_equal(buf_slice(&out), bytes_of(texts[i])));
    }
}

static void members_come_in_any_order_and_unknown_ones_are_skipped(void **state)
{
    AUTO(thing_release)
    struct thing t = decoded(
        " { \"open\":false,\"new\":{\"name\":1},\"partition\":1,\"rows\":2,"
        "\"nick\":\"x\", "
        "\"when_ms\":3,\"n\\u0061me\":\"y\",\"marked\":false,\"size\":\"l\\u0061rge\"}");

    (void)state;
    assert_string_equal(t.name, "y");
    assert_string_equal(t.nick, "x");
    assert_null(t.note);
    assert_int_equal(t.rows, 2);
    assert_false(t.marked);
    assert_int_equal(t.size, LARGE);
}

static void a_copy_owns_what_it_holds(void **state)
{
    AUTO(thing_release) struct thing t = decoded(LONG), copy = {0};
    AUTO(buf_release) struct buf out = {.ceiling = 1000};

    (void)state;
    json_fields_copy(&copy, &t, &fields);
    assert_ptr_not_equal(copy.nick, t.nick);
    thing_release(&t);
    assert_null(t.name);
    assert_int_equal(t.when_ms, 0);
    json_fields_encode(&out, &copy, &fields);
    assert_true(bytes_is(buf_slice(&out), LONG));
}

#define WITHOUT_NAME                                                                           \
    "\"nick\":null,\"when_ms\":1,\"rows\":0,\"partition\":3,\"open\":true,\"size\":\"small\"}"

static void what_is_wrong_is_named_and_nothing_is_kept(void **state)
{
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "an object was expected"},
        {"[]", "an object was expected"},
        {SHORT "x", "more text"},
        {"{" WITHOUT_NAME, "a thing has no \"name\""},
        {"{\"name\":\"a\",\"n\\u0061me\":\"b\"," WITHOUT_NAME, "a thing has \"name\" twice"},
        {"{\"name\":null," WITHOUT_NAME, "a string was expected"},
        {"{\"name\":\"\\u0000\"," WITHOUT_NAME, "\"name\" of a thing: a text with a NUL"},
        {"{\"name\":\"a\",\"note\":null," WITHOUT_NAME, "a string was expected"},
        {"{\"rows\":-1}", "\"rows\" of a thing: a negative number"},
        {"{\"partition\":2147483648}", "\"partition\" of a thing: a number past 2147483647"},
        {"{\"partition\":-1}", "\"partition\" of a thing: a negative number"},
        {"{\"open\":1}", "was expected"},
        {"{\"size\":\"huge\"}", "\"size\" of a thing: an unknown name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct thing t = {.rows = 42};
        struct error err = {0};

        assert_int_equal(json_fields_decode(&t, &fields, bytes_of(cases[i].json), &err), -1);
        assert_int_equal(err.kind, ERR_DATA);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\" for %s", err.message, cases[i].json);
        assert_int_equal(t.rows, 42);
        assert_null(t.name);
    }
}

static void what_was_seen_can_be_asked_for(void **state)
{
    static const struct json_field some[] = {
        JSON_OPTIONAL("raw", struct thing, raw, &json_fields_raw),
        JSON_OPTIONAL("rows", struct thing, rows, &json_fields_count),
    };
    static const struct json_fields two = JSON_FIELDS("it", struct thing, some);
    struct thing t = {.rows = 42};
    struct json_reader r;
    struct error err;
    uint64_t seen;

    (void)state;
    json_reader_init(&r, BYTES_LIT("{\"raw\":\"\\n\"}"));
    assert_int_equal(json_fields_read(&t, &seen, &two, &r, &err), 0);
    assert_int_equal(seen, 1);
    assert_true(bytes_is(t.raw, "\\n") && t.rows == 42);
    assert_int_equal(json_fields_need(1, seen, &two, &err), 0);
    assert_int_equal(json_fields_need(3, seen, &two, &err), -1);
    assert_string_equal(err.message, "it has no \"rows\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_and_what_is_read_is_written),
        cmocka_unit_test(members_come_in_any_order_and_unknown_ones_are_skipped),
        cmocka_unit_test(a_copy_owns_what_it_holds),
        cmocka_unit_test(what_is_wrong_is_named_and_nothing_is_kept),
        cmocka_unit_test(what_was_seen_can_be_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

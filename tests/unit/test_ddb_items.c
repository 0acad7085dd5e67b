/* tests/unit/test_ddb_items.c - what BatchGetItem's answer says of each key, and answers that
 * lie: a key must never count as absent because of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/dynamodb/ddb_items.h"

struct seen {
    int calls;
    int fail_at;
    struct buf text; /* "found" or "unprocessed", and the slices, a line each */
};

static int note(struct seen *s, const char *what, const struct ddb_item *item,
                struct error *err)
{
    buf_printf(&s->text, "%s " BYTES_FMT " " BYTES_FMT " " BYTES_FMT "\n", what,
               BYTES_ARG(item->json), BYTES_ARG(item->hash), BYTES_ARG(item->range));
    if (++s->calls == s->fail_at)
        return error_set(err, ERR_ABORT, "as told");
    return 0;
}

static int note_found(void *arg, const struct ddb_item *item, struct error *err)
{
    return note(arg, "found", item, err);
}

static int note_unprocessed(void *arg, const struct ddb_item *key, struct error *err)
{
    return note(arg, "unprocessed", key, err);
}

static int items_read(struct bytes answer, struct seen *seen, struct error *err)
{
    static const struct key_schema schema = {.hash = {"pk", 2, 'S'}, .range = {"sk", 2, 'N'}};
    const struct ddb_items_calls calls = {note_found, note_unprocessed, seen};

    *seen = (struct seen){.text.ceiling = 10000, .fail_at = seen->fail_at};
    return ddb_items_read(answer, &schema, &calls, err);
}

#define ITEM "{\"v\":{\"S\":\"a\\\"]}\"},\"sk\":{\"N\":\"1.0\"},\"pk\":{\"S\":\"\\uD83D\"}}"
#define FOUND "found " ITEM " {\"S\":\"\\uD83D\"} {\"N\":\"1.0\"}\n"
#define KEY "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"2\"}}"
#define UNPROCESSED "unprocessed " KEY " {\"S\":\"u\"} {\"N\":\"2\"}\n"
#define NO_KEYS_LEFT "\"UnprocessedKeys\":{}"
#define KEYS_LEFT "\"UnprocessedKeys\":{\"t\":{\"Keys\":[" KEY "],\"ConsistentRead\":true}}"

static void items_and_keys_come_as_they_stand(void **state)
{
    static const struct {
        const char *answer, *text;
    } cases[] = {
        {"{\"Responses\":{\"t\":[" ITEM "]}," NO_KEYS_LEFT "}", FOUND},
        {"{\"Responses\":{\"t\":[" ITEM "," ITEM "]}}", FOUND FOUND},
        {"{\"Responses\":{\"t\":[]}," NO_KEYS_LEFT "}", ""},
        {"{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":null}", ""},
        {"{\"Responses\":{\"t\":[" ITEM "]}," KEYS_LEFT "}", FOUND UNPROCESSED},
        {"{" KEYS_LEFT ",\"Responses\":{\"t\":[" ITEM "]}}", UNPROCESSED FOUND},
        {"{" KEYS_LEFT ",\"Responses\":{}}", UNPROCESSED},
        {" { \"Other\" : [ { } ] , \"Responses\" : { \"t\" : [ ] } } ", ""},
        {"{\"Responses\":{\"t\":[{\"x\":{\"N\":\"1\"}}]}}", "found {\"x\":{\"N\":\"1\"}}  \n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seen seen = {0};
        struct error err;

        if (items_read(bytes_of(cases[i].answer), &seen, &err) < 0)
            fail_msg("%s: %s", cases[i].answer, err.message);
        assert_string_equal(buf_cstr(&seen.text), cases[i].text);
        buf_release(&seen.text);
    }
}

static void an_answer_that_is_cut_anywhere_is_asked_for_again(void **state)
{
    static const char whole[] = "{\"Responses\":{\"t\":[" ITEM "]}," KEYS_LEFT "}";

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        struct seen seen = {0};
        struct error err = {0};

        if (items_read((struct bytes){whole, len}, &seen, &err) == 0)
            fail_msg("%zu bytes of it were believed", len);
        assert_int_equal(err.kind, ERR_RETRY);
        buf_release(&seen.text);
    }
}

static void an_answer_that_lies_is_asked_for_again(void **state)
{
    static const char *const lies[] = {
        "null",
        "[]",
        "{}",
        "{" NO_KEYS_LEFT "}",
        "{\"Responses\":{}," NO_KEYS_LEFT "}",
        "{\"Responses\":null}",
        "{\"Responses\":[]}",
        "{\"Responses\":{\"t\":null}}",
        "{\"Responses\":{\"t\":{}}}",
        "{\"Responses\":{\"t\":[7]}}",
        "{\"Responses\":{\"t\":[null]}}",
        "{\"Responses\":{\"t\":[{\"pk\":{\"S\":\"a\"},\"pk\":{\"S\":\"b\"}}]}}",
        "{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":[]}",
        "{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":{\"t\":{}}}",
        "{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":{\"t\":{\"Keys\":[]}}}",
        "{\"Responses\":{\"t\":[]},\"UnprocessedKeys\":{\"t\":{\"Keys\":[\"u\"]}}}",
        "{\"Responses\":{\"t\":[],\"other\":[]}}",
        "{\"Responses\":{\"t\":[]},\"Responses\":{\"t\":[]}}",
        "{\"Responses\":{\"t\":[]}}{}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct seen seen = {0};
        struct error err = {0};

        if (items_read(bytes_of(lies[i]), &seen, &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        buf_release(&seen.text);
    }
}

static void a_callers_error_ends_the_answer_as_it_is(void **state)
{
    (void)state;
    for (int at = 1; at <= 2; at++) {
        struct seen seen = {.fail_at = at};
        struct error err;

        assert_int_equal(
            items_read(BYTES_LIT("{\"Responses\":{\"t\":[" ITEM "]}," KEYS_LEFT "}"), &seen,
                       &err),
            -1);
        assert_int_equal(seen.calls, at);
        assert_int_equal(err.kind, ERR_ABORT);
        assert_string_equal(err.message, "as told");
        buf_release(&seen.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_and_keys_come_as_they_stand),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_is_asked_for_again),
        cmocka_unit_test(an_answer_that_lies_is_asked_for_again),
        cmocka_unit_test(a_callers_error_ends_the_answer_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

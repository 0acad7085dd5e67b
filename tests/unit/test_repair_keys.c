/* tests/unit/test_repair_keys.c - the keys of a repair from request to appended: which are
 * refused, what an answer says of each, and that no lie makes one absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "producer/repair_keys.h"

static const struct key_schema schema = {.hash = {"pk", 2, 'S'}, .range = {"sk", 2, 'N'}};

static int init(struct repair_keys *r, char **keys, size_t count, struct error *err)
{
    struct table_signal s = {.keys = keys, .key_count = count};

    return repair_keys_init(r, &s, &schema, err);
}

#define KEY(n) "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"" n "\"}}"
static char *three[] = {KEY("1"), KEY("2"), KEY("3")};

static void a_key_must_be_whole_and_canonical(void **state)
{
    static char *wrong[] = {
        "{}",
        "{\"pk\":{\"S\":\"u\"}}",
        "{\"pk\":{\"S\":\"u\"},\"sk\":{\"S\":\"1\"}}",
        "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"1.0\"}}",
        "{\"pk\":{\"S\":\"\\u0075\"},\"sk\":{\"N\":\"1\"}}",
        "{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"u\"}}",
        "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"1\"},\"v\":{\"S\":\"\"}}",
        "{\"pk\":{\"S\":\"u\"}, \"sk\":{\"N\":\"1\"}}",
        "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"1\"}} ",
        "{\"pk\":{\"S\":\"u\"},\"sk\":{\"N\":\"x\"}}",
        "{\"pk\":7,\"sk\":{\"N\":\"1\"}}",
    };
    struct repair_keys r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char *keys[] = {three[0], wrong[i]};
        struct error err = {0};

        if (init(&r, keys, 2, &err) == 0)
            fail_msg("%s was taken", wrong[i]);
        assert_int_equal(err.kind, ERR_DATA);
    }
}

static void a_key_that_stands_twice_is_asked_for_once(void **state)
{
    char *keys[] = {three[0], three[1], three[0]};
    struct bytes asked[TABLE_SIGNAL_KEYS_AT_MOST];
    struct repair_keys r;
    struct error err;

    (void)state;
    assert_int_equal(init(&r, keys, 3, &err), 0);
    assert_int_equal(repair_keys_ask(&r, asked), 2);
    assert_true(bytes_is(asked[1], KEY("2")));
}

static struct repair_keys asked_three(void)
{
    struct bytes asked[TABLE_SIGNAL_KEYS_AT_MOST];
    struct repair_keys r;
    struct error err;

    assert_int_equal(init(&r, three, 3, &err), 0);
    assert_int_equal(repair_keys_ask(&r, asked), 3);
    return r;
}

#define ITEM(n) "{\"v\":{\"S\":\"x\"},\"sk\":{\"N\":\"" n "\"},\"pk\":{\"S\":\"\\u0075\"}}"
#define LEFT(key) "\"UnprocessedKeys\":{\"t\":{\"Keys\":[" key "]}}"

static void an_answer_says_found_absent_or_left_of_each(void **state)
{
    struct repair_keys r = asked_three();
    struct bytes asked[TABLE_SIGNAL_KEYS_AT_MOST];
    struct error err;

    (void)state;
    assert_int_equal(
        repair_keys_answer(
            &r,
            BYTES_LIT(
                "{" LEFT("{\"sk\":{\"N\":\"3\"},"
                         "\"pk\":{\"S\":\"u\"}}") ","
                                                  "\"Responses\":{\"t\":[" ITEM("2.0") "]}}"),
            &err),
        0);
    assert_int_equal(r.keys[0].state, REPAIR_ABSENT);
    assert_int_equal(r.keys[1].state, REPAIR_FOUND);
    assert_true(bytes_is(r.keys[1].item.json, ITEM("2.0")));
    assert_int_equal(r.keys[2].state, REPAIR_LEFT);
    repair_keys_appended(&r);
    assert_int_equal(repair_keys_count(&r, REPAIR_DONE), 2);
    assert_int_equal(repair_keys_ask(&r, asked), 1);
    assert_true(bytes_is(asked[0], KEY("3")));
    repair_keys_restart(&r); /* an abort */
    assert_int_equal(repair_keys_count(&r, REPAIR_LEFT), 3);
}

static void an_answer_that_lies_leaves_every_key(void **state)
{
    static const char *const lies[] = {
        "",
        "{}",
        "{\"Responses\":{\"t\":[" ITEM("1") "," ITEM("1") "]}}",
        "{\"Responses\":{\"t\":[" ITEM("1") "," ITEM("9") "]}}",
        "{\"Responses\":{\"t\":[" ITEM("1") ",{\"pk\":{\"S\":\"u\"}}]}}",
        "{\"Responses\":{\"t\":[" ITEM("1") "]}," LEFT(KEY("1")) "}",
        "{\"Responses\":{\"t\":[" ITEM("1") "]}," LEFT(KEY("9")) "}",
        "{\"Responses\":{\"t\":[" ITEM("1") "]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct repair_keys r = asked_three();
        struct error err = {0};

        if (repair_keys_answer(&r, bytes_of(lies[i]), &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_int_equal(repair_keys_count(&r, REPAIR_LEFT), 3);
    }
}

static void ever_fewer_are_asked_for_down_to_one(void **state)
{
    struct bytes asked[TABLE_SIGNAL_KEYS_AT_MOST];
    struct repair_keys r;
    struct error err;

    (void)state;
    assert_int_equal(init(&r, three, 3, &err), 0);
    for (int i = 0; i < 6; i++)
        repair_keys_ask_fewer(&r); /* 100, 50, 25, 12, 6, 3, 1 */
    assert_int_equal(repair_keys_ask(&r, asked), 1);
    repair_keys_drop(&r);
    repair_keys_ask_fewer(&r);
    assert_int_equal(repair_keys_ask(&r, asked), 1);
    assert_int_equal(repair_keys_answer(&r, BYTES_LIT("{\"Responses\":{\"t\":[]}}"), &err), 0);
    assert_int_equal(repair_keys_count(&r, REPAIR_ABSENT), 1); /* only what was asked for */
    assert_int_equal(repair_keys_count(&r, REPAIR_LEFT), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_must_be_whole_and_canonical),
        cmocka_unit_test(a_key_that_stands_twice_is_asked_for_once),
        cmocka_unit_test(an_answer_says_found_absent_or_left_of_each),
        cmocka_unit_test(an_answer_that_lies_leaves_every_key),
        cmocka_unit_test(ever_fewer_are_asked_for_down_to_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

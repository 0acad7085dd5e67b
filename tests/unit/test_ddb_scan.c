/* tests/unit/test_ddb_scan.c - pages of DynamoDB and of DynamoDB Local, and pages that
 * lie. */
#include "common/dynamodb/ddb_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support_vector.h"

struct seen {
    int items;
    int fail_at;
    struct buf text; /* each item's three slices, a line each */
};

static int note_item(void *arg, const struct ddb_item *item, struct error *err)
{
    struct seen *s = arg;

    buf_printf(&s->text, BYTES_FMT "\n" BYTES_FMT "\n" BYTES_FMT "\n", BYTES_ARG(item->json),
               BYTES_ARG(item->hash), BYTES_ARG(item->range));
    if (++s->items == s->fail_at)
        return error_set(err, ERR_ABORT, "as told");
    return 0;
}

static struct key_schema schema_of(const char *hash, const char *range)
{
    return (struct key_schema){
        .hash = {.name = (char *)hash, .name_len = strlen(hash), .type = 'S'},
        .range = {.name = (char *)range, .name_len = range ? strlen(range) : 0, .type = 'N'}};
}

#define FACE "\xc3\xa9\\uD83D\\uDE00"

static void a_page_gives_its_items_and_keys_as_they_stand(void **state)
{
    struct key_schema schema = schema_of("pk", "sk");
    AUTO(buf_release) struct buf file;
    struct seen seen = {.text.ceiling = 10000};
    struct bytes last = {0};
    struct error err;

    (void)state;
    assert_int_equal(ddb_scan_items(vector_read(&file, "ddb/local_scan.json"), &schema,
                                    note_item, &seen, &last, &err),
                     0);
    assert_int_equal(seen.items, 2);
    assert_string_equal(buf_cstr(&seen.text),
                        "{\"sk\":{\"N\":\"0\"},\"pk\":{\"S\":\"u" FACE
                        "\"},\"l\":{\"L\":[]},\"m\":{\"M\":{}}}\n"
                        "{\"S\":\"u" FACE "\"}\n{\"N\":\"0\"}\n"
                        "{\"sk\":{\"N\":\"1\"},\"v\":{\"N\":"
                        "\"12345678901234567890123456789012345678\"},\"pk\":{\"S\":\"u" FACE
                        "\"}}\n"
                        "{\"S\":\"u" FACE "\"}\n{\"N\":\"1\"}\n");
    assert_true(bytes_is(last, "{\"sk\":{\"N\":\"1\"},\"pk\":{\"S\":\"u" FACE "\"}}"));
    buf_release(&seen.text);
}

static int scan(const char *answer, struct seen *seen, struct bytes *last, struct error *err)
{
    struct key_schema schema = schema_of("pk", NULL);

    *seen = (struct seen){.text.ceiling = 10000, .fail_at = seen->fail_at};
    return ddb_scan_items(bytes_of(answer), &schema, note_item, seen, last, err);
}

static void the_last_page_has_no_last_key(void **state)
{
    static const char *const ends[] = {
        "{\"Items\":[],\"Count\":0}",
        "{\"LastEvaluatedKey\":null,\"Items\":[]}",
    };
    struct seen seen = {0};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct bytes last = BYTES_LIT("before");

        assert_int_equal(scan(ends[i], &seen, &last, &err), 0);
        assert_int_equal(last.len, 0);
    }
}

static int64_t consumed_of(const char *answer)
{
    struct key_schema schema = schema_of("pk", NULL);
    struct seen seen = {.text.ceiling = 10000};
    struct ddb_scan_end end = {0};
    struct error err;

    if (ddb_scan_read(bytes_of(answer), &schema, note_item, &seen, &end, &err) < 0)
        fail_msg("%s: %s", answer, err.message);
    assert_int_equal(seen.items, 1);
    assert_true(bytes_is(end.last, "{\"pk\":{\"S\":\"a\"}}"));
    buf_release(&seen.text);
    return end.consumed_milli;
}

#define PAGE "\"Items\":[{\"pk\":{\"S\":\"a\"}}],\"LastEvaluatedKey\":{\"pk\":{\"S\":\"a\"}}"
#define CONSUMED(n) "\"ConsumedCapacity\":{\"TableName\":\"t\",\"CapacityUnits\":" n "}"

static void a_page_tells_what_it_took_of_the_capacity(void **state)
{
    (void)state;
    assert_int_equal(consumed_of("{" PAGE "," CONSUMED("128.5") "}"), 128500);
    assert_int_equal(consumed_of("{" CONSUMED("256") "," PAGE "}"), 256000);
    assert_int_equal(consumed_of("{" CONSUMED("0.5") "," PAGE "}"), 500);
    assert_int_equal(consumed_of("{" PAGE "}"), -1);
    assert_int_equal(consumed_of("{" PAGE ",\"ConsumedCapacity\":null}"), -1);
    assert_int_equal(consumed_of("{" PAGE ",\"ConsumedCapacity\":{}}"), -1);
    assert_int_equal(consumed_of("{" PAGE "," CONSUMED("\"1\"") "}"), -1);
}

/* Cut at each byte: it says so, in words of its own. */
static void a_page_that_is_cut_anywhere_says_what_is_wrong(void **state)
{
    static const char whole[] = "{" PAGE "," CONSUMED("128.5") "}";

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        AUTO(free_charp) char *cut = xstrndup(whole, len);
        struct seen seen = {.text.ceiling = 10000};
        struct bytes last = {0};
        struct error err;

        memset(&err, 'x', sizeof(err));
        err.message[sizeof(err.message) - 1] = '\0';
        assert_int_equal(scan(cut, &seen, &last, &err), -1);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_null(strstr(err.message, "xx"));
        buf_release(&seen.text);
    }
}

static void a_callers_error_ends_the_page_as_it_is(void **state)
{
    struct seen seen = {.fail_at = 1};
    struct bytes last = BYTES_LIT("before");
    struct error err;

    (void)state;
    assert_int_equal(scan("{\"Items\":[{},{},{}]}", &seen, &last, &err), -1);
    assert_int_equal(seen.items, 1);
    assert_int_equal(err.kind, ERR_ABORT);
    assert_string_equal(err.message, "as told");
    assert_true(bytes_is(last, "before"));
    buf_release(&seen.text);
}

static void a_page_that_lies_is_asked_for_again(void **state)
{
    static const char *const lies[] = {
        "",
        "null",
        "{}",
        "{\"Count\":0,\"ScannedCount\":0}",
        "{\"Items\":null}",
        "{\"Items\":[{\"pk\":{\"S\":\"a\"}}",
        "{\"Items\":[{\"pk\":{\"S\":\"a\"}},7]}",
        "{\"Items\":[{\"pk\":{\"S\":\"a\"},\"pk\":{\"S\":\"b\"}}]}",
        "{\"Items\":[],\"LastEvaluatedKey\":\"a\"}",
        "{\"Items\":[],\"LastEvaluatedKey\":{\"pk\":{\"S\":\"a\"}",
        "{\"Items\":[],\"Items\":[]}",
        "{\"Items\":[]}{\"Items\":[]}",
    };
    struct seen seen = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct bytes last = BYTES_LIT("before");
        struct error err = {0};

        if (scan(lies[i], &seen, &last, &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_true(bytes_is(last, "before"));
        buf_release(&seen.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_gives_its_items_and_keys_as_they_stand),
        cmocka_unit_test(the_last_page_has_no_last_key),
        cmocka_unit_test(a_page_tells_what_it_took_of_the_capacity),
        cmocka_unit_test(a_page_that_is_cut_anywhere_says_what_is_wrong),
        cmocka_unit_test(a_callers_error_ends_the_page_as_it_is),
        cmocka_unit_test(a_page_that_lies_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_key_schema.c - a key schema in messages and ledger: what is written is read
 * back, and nothing else is taken. */
#include "common/item/key_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/check.h"

#define HASH_S ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}})
#define HASH_N ((struct key_schema){.hash = {(char *)"pk", 2, 'N'}})
#define HASH_RANGE                                                                             \
    ((struct key_schema){.hash = {(char *)"pk", 2, 'S'}, .range = {(char *)"sk", 2, 'N'}})

static void a_key_schema_survives_its_json(void **state)
{
    struct key_schema nul = {.hash = {(char *)"a\0\"", 3, 'B'},
                             .range = {(char *)"\xed\xb8\x80", 3, 'N'}},
                      back, copy;
    struct error err;
    struct buf out;

    (void)state;
    buf_init(&out, 512);
    key_schema_write(&out, &nul);
    assert_true(bytes_equal(
        buf_slice(&out), BYTES_LIT("[{\"AttributeName\":\"a\\u0000\\\"\",\"KeyType\":\"HASH\","
                                   "\"AttributeType\":\"B\"},{\"AttributeName\":\"\\ude00\","
                                   "\"KeyType\":\"RANGE\",\"AttributeType\":\"N\"}]")));
    assert_int_equal(key_schema_read(&back, buf_slice(&out), &err), 0);
    assert_true(key_schema_equal(&nul, &back));
    key_schema_copy(&copy, &back);
    key_schema_release(&back);
    assert_true(key_schema_equal(&nul, &copy));
    assert_int_equal(copy.hash.name[3], '\0');
    key_schema_release(&copy);
    assert_null(copy.hash.name);
    buf_release(&out);
}

static void key_schemas_differ_by_name_type_and_range(void **state)
{
    struct key_schema s = HASH_S, n = HASH_N, both = HASH_RANGE, other = HASH_S;

    (void)state;
    other.hash.name = (char *)"pq";
    assert_true(key_schema_equal(&s, &HASH_S));
    assert_false(key_schema_equal(&s, &n));
    assert_false(key_schema_equal(&s, &both));
    assert_false(key_schema_equal(&both, &s));
    assert_false(key_schema_equal(&s, &other));
}

#define ATTRIBUTE(name, kind, type)                                                            \
    "{\"AttributeName\":\"" name "\",\"KeyType\":\"" kind "\",\"AttributeType\":\"" type "\"}"

static void what_is_no_key_schema_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "[1]",
        "[" ATTRIBUTE("a", "HASH", "S"),
        "[" ATTRIBUTE("a", "HASH", "S") "] x",
        "[" ATTRIBUTE("a", "RANGE", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "M") "]",
        "[" ATTRIBUTE("a", "HASH", "") "]",
        "[" ATTRIBUTE("a", "OTHER", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "S") "," ATTRIBUTE("b", "HASH", "S") "]",
        "[" ATTRIBUTE("a", "HASH", "S") "," ATTRIBUTE("b", "RANGE",
                                                      "S") "," ATTRIBUTE("c", "RANGE", "S") "]",
        "[{\"KeyType\":\"HASH\",\"AttributeType\":\"S\"}]",
        "[{\"AttributeName\":\"a\",\"AttributeType\":\"S\"}]",
        "[{\"AttributeName\":\"a\",\"KeyType\":\"HASH\"}]",
        "[{\"AttributeName\":1,\"KeyType\":\"HASH\",\"AttributeType\":\"S\"}]",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct key_schema s;
        struct error err = {0};

        if (key_schema_read(&s, bytes_of(texts[i]), &err) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(err.kind, ERR_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_schema_survives_its_json),
        cmocka_unit_test(key_schemas_differ_by_name_type_and_range),
        cmocka_unit_test(what_is_no_key_schema_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

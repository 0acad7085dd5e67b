/* tests/unit/test_table_signal.c - requests to a table's owner: the examples byte for byte,
 * keys with any character, and messages that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/messages/table_signal.h"
#include "support_vector.h"

static struct table_signal decoded(struct bytes message)
{
    struct table_signal s = {0};
    struct error err;

    if (table_signal_decode(&s, message, &err) < 0)
        fail_msg(BYTES_FMT ": %s", BYTES_ARG(message), err.message);
    return s;
}

static void is_encoded_as(const struct table_signal *s, struct bytes wanted)
{
    AUTO(buf_release) struct buf out = {.ceiling = TABLE_SIGNAL_BYTES_AT_MOST};

    table_signal_encode(&out, s);
    if (!bytes_equal(buf_slice(&out), wanted))
        fail_msg(BYTES_FMT ", wanted " BYTES_FMT, BYTES_ARG(buf_slice(&out)),
                 BYTES_ARG(wanted));
}

static void an_example_is_what_is_written(void **state)
{
    static const char *const names[] = {
        "messages/signal-repair.json", "messages/signal-snapshot.json",
        "messages/signal-pause.json", "messages/signal-resume.json",
        "messages/signal-forget.json", "messages/signal-report.json"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(buf_release) struct buf file;
        AUTO(table_signal_release) struct table_signal s = {0};
        struct bytes example = vector_read(&file, names[i]);

        if (example.len && example.p[example.len - 1] == '\n')
            example.len--;
        s = decoded(example);
        is_encoded_as(&s, example);
    }
}

static void a_repair_is_read_whole(void **state)
{
    AUTO(buf_release) struct buf file;
    AUTO(table_signal_release) struct table_signal s = {0};

    (void)state;
    s = decoded(vector_read(&file, "messages/signal-repair.json"));
    assert_int_equal(s.type, TABLE_SIGNAL_REPAIR);
    assert_string_equal(s.id, "5b0f4c1f");
    assert_string_equal(s.table, "orders");
    assert_string_equal(s.sender, "dynaferry-fullcheck");
    assert_int_equal(s.ts_ms, 1760000007000);
    assert_null(s.reason);
    assert_int_equal(s.key_count, 2);
    assert_string_equal(s.keys[1], "{\"pk\":{\"S\":\"u3\"},\"sk\":{\"N\":\"2\"}}");
}

#define HEAD "\"id\":\"i\",\"table\":\"t\",\"sender\":\"s\",\"ts_ms\":1"
#define REPAIR "{" HEAD ",\"type\":\"repair\",\"keys\":"

static void a_key_of_any_character_survives_byte_for_byte(void **state)
{
    static const char key[] =
        "{\"a\\u0000\\ud83d\\\"\":{\"S\":\"\\u0000\\udc00\xf0\x9f\x98\x80\"},"
        "\"b.$\":{\"N\":\"99999999999999999999999999999999999999\"}}";
    AUTO(buf_release) struct buf out = {.ceiling = TABLE_SIGNAL_BYTES_AT_MOST};
    AUTO(table_signal_release) struct table_signal again = {0};
    char *keys[] = {(char *)key};
    struct table_signal s = {.id = (char *)"\xed\xa0\xbd\n\"",
                             .type = TABLE_SIGNAL_REPAIR,
                             .table = (char *)"t",
                             .sender = (char *)"s",
                             .reason = (char *)"",
                             .keys = keys,
                             .key_count = 1};

    (void)state;
    table_signal_encode(&out, &s);
    again = decoded(buf_slice(&out));
    assert_string_equal(again.keys[0], key);
    assert_string_equal(again.id, s.id);
    assert_string_equal(again.reason, "");
}

static void order_and_unknown_members_do_not_matter(void **state)
{
    AUTO(table_signal_release)
    struct table_signal s = decoded(BYTES_LIT(
        "{ \"new\":{\"id\":[]}, \"generation\":7 ,\"type\":\"snap\\u0073hot\"," HEAD " } "));

    (void)state;
    assert_int_equal(s.type, TABLE_SIGNAL_SNAPSHOT);
    assert_int_equal(s.generation, 7);
}

static void what_is_no_signal_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "null",
        "[]",
        "{}",
        "{" HEAD "}",
        "{" HEAD ",\"type\":\"restart\"}",
        "{" HEAD ",\"type\":7}",
        "{" HEAD ",\"type\":\"snapshot\"}",
        "{" HEAD ",\"type\":\"snapshot\",\"generation\":-1}",
        "{" HEAD ",\"type\":\"snapshot\",\"generation\":\"1\"}",
        "{" HEAD ",\"type\":\"pause\",\"generation\":1}",
        "{" HEAD ",\"type\":\"resume\",\"keys\":[{}]}",
        "{" HEAD ",\"type\":\"repair\"}",
        "{" HEAD ",\"type\":\"pause\",\"type\":\"pause\"}",
        "{" HEAD ",\"type\":\"pause\",\"reason\":null}",
        "{" HEAD ",\"type\":\"pause\"}{}",
        "{" HEAD ",\"type\":\"pause\"",
        "{" HEAD ",\"type\":\"pause\",\"other\":}",
        REPAIR "[]}",
        REPAIR "{}}",
        REPAIR "null}",
        REPAIR "[\"k\"]}",
        REPAIR "[{\"pk\":]}",
        REPAIR "[{}],\"generation\":1}",
        REPAIR "[{}],\"keys\":[{}]}",
        "{\"id\":\"\",\"type\":\"pause\",\"table\":\"t\",\"sender\":\"s\",\"ts_ms\":1}",
        "{\"id\":\"i\",\"type\":\"pause\",\"table\":\"t\\u0000u\",\"sender\":\"s\",\"ts_ms\":"
        "1}",
        "{\"id\":\"i\",\"type\":\"pause\",\"table\":\"t\",\"sender\":\"s\",\"ts_ms\":1.5}",
        "{\"id\":\"i\",\"type\":\"pause\",\"table\":\"t\",\"sender\":\"s\",\"ts_ms\":-1}",
        "{\"id\":\"i\",\"type\":\"pause\",\"table\":7,\"sender\":\"s\",\"ts_ms\":1}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct table_signal s = {0};
        struct error err = {0};

        if (table_signal_decode(&s, bytes_of(wrong[i]), &err) == 0)
            fail_msg("%s was taken", wrong[i]);
        assert_int_equal(err.kind, ERR_DATA);
        assert_null(s.id);
    }
}

/* A message of count keys. */
static void repair_of(struct buf *out, int count)
{
    *out = (struct buf){.ceiling = 2 * TABLE_SIGNAL_BYTES_AT_MOST};
    buf_lit(out, REPAIR "[");
    for (int i = 0; i < count; i++)
        buf_printf(out, "%s{\"pk\":{\"S\":\"%d\"}}", i ? "," : "", i);
    buf_lit(out, "]}");
}

static void a_hundred_keys_are_the_most(void **state)
{
    AUTO(table_signal_release) struct table_signal s = {0}, none = {0};
    AUTO(buf_release) struct buf most, more;
    struct error err;

    (void)state;
    repair_of(&most, TABLE_SIGNAL_KEYS_AT_MOST);
    repair_of(&more, TABLE_SIGNAL_KEYS_AT_MOST + 1);
    s = decoded(buf_slice(&most));
    assert_int_equal(s.key_count, 100);
    assert_int_equal(table_signal_decode(&none, buf_slice(&more), &err), -1);
    assert_int_equal(err.kind, ERR_DATA);
}

static void a_message_longer_than_any_signal_is_refused(void **state)
{
    AUTO(buf_release) struct buf out = {.ceiling = 2 * TABLE_SIGNAL_BYTES_AT_MOST};
    struct table_signal s = {0};
    struct error err;

    (void)state;
    buf_lit(&out, "{" HEAD ",\"type\":\"pause\"}");
    while (out.len <= TABLE_SIGNAL_BYTES_AT_MOST)
        buf_lit(&out, "                                                                ");
    assert_int_equal(table_signal_decode(&s, buf_slice(&out), &err), -1);
    assert_int_equal(err.kind, ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_example_is_what_is_written),
        cmocka_unit_test(a_repair_is_read_whole),
        cmocka_unit_test(a_key_of_any_character_survives_byte_for_byte),
        cmocka_unit_test(order_and_unknown_members_do_not_matter),
        cmocka_unit_test(what_is_no_signal_is_refused),
        cmocka_unit_test(a_hundred_keys_are_the_most),
        cmocka_unit_test(a_message_longer_than_any_signal_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

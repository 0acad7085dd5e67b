/* The ledger's example records, which the schemas are held against, are what the programs write
 * byte for byte. (Events and dead letters: test_event.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/messages/ledger.h"
#include "support_vector.h"

static void assert_same(struct buf *found, struct buf *wanted)
{
    if (!bytes_equal(buf_slice(found), buf_slice(wanted)))
        fail_msg("%.*s, wanted %.*s", BYTES_ARG(buf_slice(found)),
                 BYTES_ARG(buf_slice(wanted)));
    buf_release(found);
    buf_release(wanted);
}

static void a_place_is_its_example(void **state)
{
    struct ledger_place place;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-place");
    assert_int_equal(ledger_place_decode(&place, buf_slice(&text), &err), 0);
    assert_int_equal(place.partition, 5);
    assert_false(place.forget);
    buf_init(&out, 65536);
    ledger_place_encode(&out, &place);
    assert_same(&out, &text);
}

static void a_place_to_be_forgotten_says_so(void **state)
{
    struct ledger_place place = {.partition = 2, .forget = true}, again;
    AUTO(buf_release) struct buf out;
    struct error err;

    (void)state;
    buf_init(&out, 65536);
    ledger_place_encode(&out, &place);
    assert_true(bytes_equal(buf_slice(&out), BYTES_LIT("{\"partition\":2,\"forget\":true}")));
    assert_int_equal(ledger_place_decode(&again, buf_slice(&out), &err), 0);
    assert_true(again.forget);
}

static void a_source_is_its_example(void **state)
{
    struct ledger_source s;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-source");
    assert_int_equal(ledger_source_decode(&s, buf_slice(&text), &err), 0);
    assert_string_equal(s.account, "000000000000");
    buf_init(&out, 65536);
    ledger_source_encode(&out, &s);
    assert_same(&out, &text);
    ledger_source_release(&s);
}

static void a_carrier_is_its_example(void **state)
{
    struct ledger_carrier c;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-carrier");
    assert_int_equal(ledger_carrier_decode(&c, buf_slice(&text), &err), 0);
    assert_string_equal(c.white, "orders;users");
    buf_init(&out, 65536);
    ledger_carrier_encode(&out, &c);
    assert_same(&out, &text);
    ledger_carrier_release(&c);
}

static void a_table_is_its_example(void **state)
{
    struct ledger_table t;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-table");
    assert_int_equal(ledger_table_decode(&t, buf_slice(&text), &err), 0);
    assert_int_equal(t.phase, PHASE_SNAPSHOT);
    assert_string_equal(t.key_schema.range.name, "sk");
    assert_non_null(t.begin_offsets);
    assert_int_equal(t.indexes.count, 1);
    assert_string_equal(t.indexes.list[0].keys.range.name, "at");
    assert_int_equal(t.handled_count, 2);
    assert_string_equal(t.handled[1].refused, "the table is in phase gap");
    buf_init(&out, 65536);
    ledger_table_encode(&out, &t);
    assert_same(&out, &text);
    ledger_table_release(&t);
}

static void a_table_without_secondary_indexes_says_nothing_of_them(void **state)
{
    AUTO(ledger_table_release) struct ledger_table t = {0}, copy = {0}, again = {0};
    AUTO(buf_release) struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-table");
    assert_int_equal(ledger_table_decode(&t, buf_slice(&text), &err), 0);
    ledger_table_copy(&copy, &t);
    assert_string_equal(copy.indexes.list[0].name, "by_day");
    ddb_indexes_release(&copy.indexes);
    buf_init(&out, 65536);
    ledger_table_encode(&out, &copy);
    assert_null(strstr(buf_cstr(&out), "indexes"));
    assert_int_equal(ledger_table_decode(&again, buf_slice(&out), &err), 0);
    assert_int_equal(again.indexes.count, 0);
}

static void the_last_handled_requests_are_kept(void **state)
{
    AUTO(ledger_table_release) struct ledger_table t = {0}, again = {0};
    AUTO(buf_release) struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-table");
    assert_int_equal(ledger_table_decode(&t, buf_slice(&text), &err), 0);
    for (int i = 0; i < LEDGER_HANDLED_MOST; i++) {
        const struct ledger_handled handled = {100 + i, "a", i == 3 ? "no" : "", 1000 + i};

        ledger_table_handled(&t, &handled);
    }
    t.renew = t.retry = t.lost_log = true;
    t.gaps = 2;
    buf_init(&out, 65536);
    ledger_table_encode(&out, &t);
    assert_int_equal(ledger_table_decode(&again, buf_slice(&out), &err), 0);
    assert_int_equal(again.handled_count, LEDGER_HANDLED_MOST);
    assert_int_equal(again.handled[0].offset, 100);
    assert_string_equal(again.handled[3].refused, "no");
    assert_int_equal(again.handled[3].ts_ms, 1003);
    assert_true(again.renew);
    assert_true(again.retry);
    assert_true(again.lost_log);
    assert_int_equal(again.gaps, 2);
}

static void a_record_with_something_else_for_indexes_is_refused(void **state)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    AUTO(buf_release) struct buf text;
    struct error err;
    char *list;

    (void)state;
    vector_read_message(&text, "ledger-table");
    list = strstr(buf_cstr(&text), "\"by_day\"");
    assert_non_null(list);
    memcpy(list, "{\"a\":1} ", 8);
    assert_int_equal(ledger_table_decode(&t, buf_slice(&text), &err), -1);
}

static void a_segment_is_its_example(void **state)
{
    struct ledger_segment s;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-segment");
    assert_int_equal(ledger_segment_decode(&s, buf_slice(&text), &err), 0);
    assert_string_equal(s.last_key, "{\"pk\":{\"S\":\"u1\"},\"sk\":{\"N\":\"7\"}}");
    buf_init(&out, 65536);
    ledger_segment_encode(&out, &s);
    assert_same(&out, &text);
    ledger_segment_release(&s);
}

static void a_shard_is_its_example(void **state)
{
    struct ledger_shard s;
    struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-shard");
    assert_int_equal(ledger_shard_decode(&s, buf_slice(&text), &err), 0);
    assert_int_equal(s.status, SHARD_IN_PROCESSING);
    assert_true(s.adopted);
    buf_init(&out, 65536);
    ledger_shard_encode(&out, &s);
    assert_same(&out, &text);
    ledger_shard_release(&s);
}

static void a_shard_that_is_not_of_the_adoption_says_nothing_of_it(void **state)
{
    AUTO(ledger_shard_release) struct ledger_shard s = {0}, again = {0};
    AUTO(buf_release) struct buf text, out;
    struct error err;

    (void)state;
    vector_read_message(&text, "ledger-shard");
    assert_int_equal(ledger_shard_decode(&s, buf_slice(&text), &err), 0);
    s.adopted = false;
    buf_init(&out, 65536);
    ledger_shard_encode(&out, &s);
    assert_null(strstr(buf_cstr(&out), "adopted"));
    assert_int_equal(ledger_shard_decode(&again, buf_slice(&out), &err), 0);
    assert_false(again.adopted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_its_example),
        cmocka_unit_test(a_place_to_be_forgotten_says_so),
        cmocka_unit_test(a_source_is_its_example),
        cmocka_unit_test(a_carrier_is_its_example),
        cmocka_unit_test(a_table_is_its_example),
        cmocka_unit_test(a_table_without_secondary_indexes_says_nothing_of_them),
        cmocka_unit_test(the_last_handled_requests_are_kept),
        cmocka_unit_test(a_record_with_something_else_for_indexes_is_refused),
        cmocka_unit_test(a_segment_is_its_example),
        cmocka_unit_test(a_shard_is_its_example),
        cmocka_unit_test(a_shard_that_is_not_of_the_adoption_says_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_ddb_table.c - answers of DynamoDB and of DynamoDB Local about tables and
 * items, and answers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "support_vector.h"

static struct ddb_table *table_of(const char *vector)
{
    AUTO(buf_release) struct buf file;
    struct ddb_table *t = NULL;
    struct error err;

    if (ddb_table_read(&t, vector_read(&file, vector), &err) < 0)
        fail_msg("%s", err.message);
    return t;
}

static void has_key(const struct key_attribute *a, const char *name, char type)
{
    assert_string_equal(a->name, name);
    assert_int_equal(a->name_len, strlen(name));
    assert_int_equal(a->type, type);
}

static void a_table_of_the_service_is_read_whole(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = table_of("ddb/aws_describe_table.json");

    (void)state;
    assert_string_equal(t->name, "music");
    assert_string_equal(t->id, "12345678-0123-4567-8901-123456789012");
    assert_string_equal(t->status, "ACTIVE");
    assert_string_equal(t->stream_arn, "arn:aws:dynamodb:eu-west-1:111122223333:table/music/"
                                       "stream/2026-11-21T11:43:54.554");
    assert_true(t->stream_enabled);
    assert_string_equal(t->stream_view, "NEW_IMAGE");
    assert_int_equal(t->item_count, 1203400567);
    has_key(&t->key_schema.hash, "id", 'B');
    has_key(&t->key_schema.range, "at", 'N');
}

static void without_a_table_id_its_arn_and_creation_time_stand_for_it(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = table_of("ddb/local_describe_table.json");

    (void)state;
    assert_string_equal(t->id, "arn:aws:dynamodb:ddblocal:000000000000:table/orders "
                               "1795261434.554");
    assert_string_equal(t->stream_view, "NEW_AND_OLD_IMAGES");
    has_key(&t->key_schema.hash, "pk", 'S');
    has_key(&t->key_schema.range, "sk", 'N');
}

static void secondary_indexes_come_with_the_types_of_their_attributes(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = table_of("ddb/local_describe_table.json");

    (void)state;
    assert_int_equal(t->indexes.count, 1);
    assert_string_equal(t->indexes.list[0].name, "by_g");
    has_key(&t->indexes.list[0].keys.hash, "g", 'B');
    assert_null(t->indexes.list[0].keys.range.name);
}

static void indexes_that_can_not_be_read_are_left_out(void **state)
{
    const char *answer =
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{"
        "\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],\"AttributeDefinitions\":[{"
        "\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},{\"AttributeName\":\"b\","
        "\"AttributeType\":\"N\"}],\"GlobalSecondaryIndexes\":[{\"IndexName\":\"two\","
        "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},{\"AttributeName\":"
        "\"b\",\"KeyType\":\"HASH\"}]},{\"IndexName\":\"typeless\",\"KeySchema\":[{"
        "\"AttributeName\":\"x\",\"KeyType\":\"HASH\"}]}],\"LocalSecondaryIndexes\":[{"
        "\"IndexName\":\"good\",\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":"
        "\"HASH\"},{\"AttributeName\":\"b\",\"KeyType\":\"RANGE\"}]}]}}";
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    struct error err;

    (void)state;
    assert_int_equal(ddb_table_read(&t, bytes_of(answer), &err), 0);
    assert_int_equal(t->indexes.count, 1);
    assert_string_equal(t->indexes.list[0].name, "good");
}

static void a_disabled_stream_keeps_its_arn(void **state)
{
    AUTO(ddb_table_freep)
    struct ddb_table *t = table_of("ddb/local_describe_table_disabled.json");

    (void)state;
    assert_false(t->stream_enabled);
    assert_string_equal(t->stream_view, "");
    assert_string_equal(t->stream_arn, "arn:aws:dynamodb:ddblocal:000000000000:table/orders/"
                                       "stream/2026-11-21T11:43:54.554");
}

static void a_key_name_may_hold_any_character(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    struct error err;

    (void)state;
    assert_int_equal(
        ddb_table_read(
            &t,
            BYTES_LIT(
                "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\",\"KeySchema\":"
                "[{\"KeyType\":\"HASH\",\"AttributeName\":\"a\\u0000\\ud83d\\\"\"}],"
                "\"AttributeDefinitions\":[{\"AttributeType\":\"S\",\"AttributeName\":"
                "\"a\\u0000\"},{\"AttributeType\":\"N\",\"AttributeName\":"
                "\"a\\u0000\\uD83D\\\"\"}]}}"),
            &err),
        0);
    assert_int_equal(t->key_schema.hash.name_len, 6);
    assert_memory_equal(t->key_schema.hash.name, "a\0\xed\xa0\xbd\"", 7);
    assert_int_equal(t->key_schema.hash.type, 'N');
    assert_null(t->key_schema.range.name);
}

static void a_table_that_is_deleted_may_have_lost_its_keys(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    struct error err;

    (void)state;
    assert_int_equal(
        ddb_table_read(
            &t, BYTES_LIT("{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"DELETING\"}}"),
            &err),
        0);
    assert_null(t->key_schema.hash.name);
    assert_string_equal(t->stream_arn, "");
    assert_string_equal(t->id, "");
}

static int64_t capacity_of(const char *members)
{
    AUTO(free_charp)
    char *answer = xasprintf("{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"DELETING\""
                             ",\"TableArn\":\"arn:t\"%s}}",
                             members);
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    struct error err;

    if (ddb_table_read(&t, bytes_of(answer), &err) < 0)
        fail_msg("%s: %s", members, err.message);
    assert_string_equal(t->arn, "arn:t");
    return t->read_capacity;
}

#define UNITS(n) ",\"ProvisionedThroughput\":{\"ReadCapacityUnits\":" n "}"
#define BILLING(mode) ",\"BillingModeSummary\":{\"BillingMode\":" mode "}"

static void a_provisioned_table_tells_its_read_capacity(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = table_of("ddb/local_describe_table.json");

    (void)state;
    assert_string_equal(t->arn, "arn:aws:dynamodb:ddblocal:000000000000:table/orders");
    assert_int_equal(capacity_of(UNITS("25")), 25);
    assert_int_equal(capacity_of(UNITS("40000.0")), 40000);
    assert_int_equal(capacity_of(UNITS("25") BILLING("\"PROVISIONED\"")), 25);
    assert_int_equal(capacity_of(BILLING("\"PAY_PER_REQUEST\"") UNITS("25")), 0);
    assert_int_equal(capacity_of(BILLING("\"PAY_PER_REQUEST\"") UNITS("0")), 0);
    assert_int_equal(capacity_of(""), 0);
    assert_int_equal(capacity_of(UNITS("null") BILLING("7")), 0);
    assert_int_equal(capacity_of(UNITS("-3")), 0);
    assert_int_equal(capacity_of(UNITS("1e300")), 0);
    assert_int_equal(capacity_of(",\"ProvisionedThroughput\":[]"), 0);
}

#define KEYS "\"KeySchema\":[{\"AttributeName\":\"a\",\"KeyType\":\"HASH\"}]"

static void a_table_that_lies_is_asked_for_again(void **state)
{
    static const char *const lies[] = {
        "",
        "[]",
        "{}",
        "{\"Table\":null}",
        "{\"Table\":{\"TableName\":\"t\"}}",
        "{\"Table\":{\"TableName\":7,\"TableStatus\":\"ACTIVE\"}}",
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\"}}",
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\"," KEYS "}}",
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\"," KEYS
        ",\"AttributeDefinitions\":[{\"AttributeName\":\"b\",\"AttributeType\":\"S\"}]}}",
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\"," KEYS
        ",\"AttributeDefinitions\":[{\"AttributeName\":\"a\",\"AttributeType\":\"M\"}]}}",
        "{\"Table\":{\"TableName\":\"t\",\"TableStatus\":\"ACTIVE\",\"KeySchema\":[7],"
        "\"AttributeDefinitions\":[]}}",
    };
    struct ddb_table *t = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct error err = {0};

        if (ddb_table_read(&t, bytes_of(lies[i]), &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_null(t);
    }
}

static void the_list_of_tables_comes_in_pages(void **state)
{
    AUTO(ddb_names_release) struct ddb_names n = {0};
    AUTO(buf_release) struct buf file;
    struct error err;

    (void)state;
    assert_int_equal(ddb_names_read_page(&n,
                                         BYTES_LIT("{\"LastEvaluatedTableName\":\"b\","
                                                   "\"TableNames\":[\"a\",\"b\"]}"),
                                         &err),
                     0);
    assert_string_equal(n.last, "b");
    assert_int_equal(
        ddb_names_read_page(&n, vector_read(&file, "ddb/local_list_tables.json"), &err), 0);
    assert_null(n.last);
    assert_int_equal(n.count, 3);
    assert_string_equal(n.names[0], "a");
    assert_string_equal(n.names[2], "orders");
    assert_int_equal(ddb_names_read_page(&n, BYTES_LIT("{\"Tables\":[]}"), &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
}

/* ---- items ---- */

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
        cmocka_unit_test(a_table_of_the_service_is_read_whole),
        cmocka_unit_test(without_a_table_id_its_arn_and_creation_time_stand_for_it),
        cmocka_unit_test(secondary_indexes_come_with_the_types_of_their_attributes),
        cmocka_unit_test(indexes_that_can_not_be_read_are_left_out),
        cmocka_unit_test(a_disabled_stream_keeps_its_arn),
        cmocka_unit_test(a_key_name_may_hold_any_character),
        cmocka_unit_test(a_table_that_is_deleted_may_have_lost_its_keys),
        cmocka_unit_test(a_provisioned_table_tells_its_read_capacity),
        cmocka_unit_test(a_table_that_lies_is_asked_for_again),
        cmocka_unit_test(the_list_of_tables_comes_in_pages),
        cmocka_unit_test(a_page_gives_its_items_and_keys_as_they_stand),
        cmocka_unit_test(the_last_page_has_no_last_key),
        cmocka_unit_test(a_page_tells_what_it_took_of_the_capacity),
        cmocka_unit_test(a_callers_error_ends_the_page_as_it_is),
        cmocka_unit_test(a_page_that_lies_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_ddb_table.c - answers of DynamoDB and of DynamoDB Local about a table,
 * and answers that lie. */
#include "common/dynamodb/ddb_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_ddb_records.c - records of DynamoDB Streams and of DynamoDB Local, and
 * records that lie. */
#include "common/dynamodb/ddb_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>

#include "support_vector.h"

#define RECORDS_MAX 16

struct seen {
    struct ddb_record records[RECORDS_MAX]; /* slices of the answer, which must live on */
    int count;
    int fail_at;
};

static int note_record(void *arg, const struct ddb_record *rec, struct error *err)
{
    struct seen *s = arg;

    assert_true(s->count < RECORDS_MAX);
    s->records[s->count++] = *rec;
    return s->count == s->fail_at ? error_set(err, ERR_ABORT, "as told") : 0;
}

static int records_of(struct bytes answer, const char *hash, const char *range,
                      struct seen *seen, struct bytes *next, struct error *err)
{
    const struct key_schema schema = {
        .hash = {.name = (char *)hash, .name_len = strlen(hash), .type = 'S'},
        .range = {.name = (char *)range, .name_len = strlen(range), .type = 'N'}};

    return ddb_records_each(answer, &schema, note_record, seen, next, err);
}

static void is_text(struct bytes slice, const char *expected)
{
    if (!bytes_equal(slice, bytes_of(expected)))
        fail_msg("\"" BYTES_FMT "\" is not \"%s\"", BYTES_ARG(slice), expected);
}

static void members_of_a_record_come_in_any_order(void **state)
{
    AUTO(buf_release) struct buf file;
    struct seen seen = {0};
    struct ddb_record *rec = seen.records;
    struct bytes next = {0};
    struct error err;

    (void)state;
    if (records_of(vector_read(&file, "ddb/aws_get_records.json"), "id", "at", &seen, &next,
                   &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(seen.count, 5);
    assert_int_equal(rec[0].event, 'I');
    is_text(rec[0].sequence, "300000000000000499659");
    is_text(rec[0].keys.json, "{\"at\":{\"N\":\"7\"},\"id\":{\"B\":\"AQI=\"}}");
    is_text(rec[0].keys.hash, "{\"B\":\"AQI=\"}");
    is_text(rec[0].keys.range, "{\"N\":\"7\"}");
    is_text(rec[0].new_image,
            "{\"v\":{\"N\":\"1E-130\"},\"at\":{\"N\":\"7\"},\"id\":{\"B\":\"AQI=\"}}");
    is_text(rec[0].old_image, "");
    assert_int_equal(rec[1].event, 'M');
    is_text(rec[1].old_image, "{\"id\":{\"B\":\"AQI=\"},\"at\":{\"N\":\"7\"}}");
    assert_int_equal(rec[2].event, 'R');
    is_text(rec[2].new_image, "");
    is_text(next, "arn:aws:dynamodb:eu-west-1:111122223333:table/music/stream/"
                  "2026-11-21T11:43:54.554|1|AAAAAAAAAAGQBYshYDEe/jrJ+q=");
}

static void the_times_and_ttl_deletes_are_told(void **state)
{
    static const int64_t times[] = {1795261434000, 1795261435250, 1795261436000, 1795261437000,
                                    -1};
    static const bool ttl[] = {false, false, true, true, false};
    AUTO(buf_release) struct buf file;
    struct seen seen = {0};
    struct bytes next;
    struct error err;

    (void)state;
    assert_int_equal(records_of(vector_read(&file, "ddb/aws_get_records.json"), "id", "at",
                                &seen, &next, &err),
                     0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(seen.records[i].created_ms, times[i]);
        assert_int_equal(seen.records[i].ttl, ttl[i]);
    }
}

static void records_of_dynamodb_local_are_read(void **state)
{
    AUTO(buf_release) struct buf file;
    struct seen seen = {0};
    struct bytes next;
    struct error err;
    char events[8] = "";

    (void)state;
    assert_int_equal(records_of(vector_read(&file, "ddb/local_get_records.json"), "pk", "sk",
                                &seen, &next, &err),
                     0);
    for (int i = 0; i < seen.count; i++)
        events[i] = seen.records[i].event;
    assert_string_equal(events, "IIIIIMR");
    is_text(seen.records[6].sequence, "000000000000000000007");
    assert_int_equal(seen.records[0].created_ms, 1795261380000);
    assert_true(next.len > 100);
}

#define RECORD(time)                                                                           \
    "{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"1\",\"Keys\":{},"            \
    "\"ApproximateCreationDateTime\":" time "}}"

static void a_time_may_be_written_in_many_ways(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1.7e9", 1700000000000},
        {"1.700000000123E9", 1700000000123},
        {"1700000000.5", 1700000000500},
        {"0", 0},
        {"\"2023-11-14T22:13:20Z\"", 1700000000000},
        {"\"2023-11-14T22:13:20.25Z\"", 1700000000250},
        {"\"2023-11-14T22:13:20.123456+00:00\"", 1700000000123},
        {"\"2023-11-14T23:13:20+01:00\"", 1700000000000},
        {"\"2023-11-14T21:43:20-00:30\"", 1700000000000},
        {"\"2023-11-14T22:13:20\"", 1700000000000},
        {"1e400", -1},
        {"-1", -1},
        {"1700000000000", -1},
        {"null", -1},
        {"{}", -1},
        {"\"\"", -1},
        {"\"yesterday\"", -1},
        {"\"2023-11-14T22:13:20 o'clock\"", -1},
        {"\"2023-11-14T22:13:20.\"", 1700000000000},
        {"\"1969-11-14T22:13:20Z\"", -1},
        {"0.00000000000000000000000000000000000000000000000000000000000000000000000001", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp)
        char *answer = xasprintf("{\"Records\":[" RECORD("%s") "]}", cases[i].text);
        struct seen seen = {0};
        struct bytes next;
        struct error err;

        assert_int_equal(records_of(bytes_of(answer), "a", "b", &seen, &next, &err), 0);
        if (seen.records[0].created_ms != cases[i].ms)
            fail_msg("%s: %" PRId64, cases[i].text, seen.records[0].created_ms);
    }
}

static void a_closed_shard_has_no_next_iterator(void **state)
{
    struct bytes next = BYTES_LIT("before");
    struct seen seen = {0};
    struct error err;

    (void)state;
    assert_int_equal(records_of(BYTES_LIT("{\"Records\":[],\"NextShardIterator\":null}"), "a",
                                "b", &seen, &next, &err),
                     0);
    assert_int_equal(next.len, 0);
    next = BYTES_LIT("before");
    assert_int_equal(records_of(BYTES_LIT("{\"Records\":[]}"), "a", "b", &seen, &next, &err),
                     0);
    assert_int_equal(next.len, 0);
}

static void a_callers_error_ends_the_records_as_it_is(void **state)
{
    struct bytes next = BYTES_LIT("before");
    struct seen seen = {.fail_at = 2};
    struct error err;

    (void)state;
    assert_int_equal(
        records_of(BYTES_LIT("{\"Records\":[" RECORD("1") "," RECORD("2") "," RECORD("3") "]}"),
                   "a", "b", &seen, &next, &err),
        -1);
    assert_int_equal(seen.count, 2);
    assert_int_equal(err.kind, ERR_ABORT);
    assert_string_equal(err.message, "as told");
    is_text(next, "before");
}

static void records_that_lie_are_asked_for_again(void **state)
{
    static const char *const lies[] = {
        "",
        "{}",
        "{\"NextShardIterator\":\"x\"}",
        "{\"Records\":null}",
        "{\"Records\":[7]}",
        "{\"Records\":[{}]}",
        "{\"Records\":[" RECORD("1"),
        "{\"Records\":[],\"Records\":[]}",
        "{\"Records\":[],\"NextShardIterator\":7}",
        "{\"Records\":[],\"NextShardIterator\":\"a\\/b\"}",
        "{\"Records\":[{\"eventName\":\"UPSERT\",\"dynamodb\":{\"SequenceNumber\":\"1\","
        "\"Keys\":"
        "{}}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"Keys\":{}}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"1\"}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"-1\","
        "\"Keys\":"
        "{}}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":7,\"Keys\":{}"
        "}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"1\","
        "\"Keys\":"
        "[]}}]}",
        "{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"1\","
        "\"Keys\":"
        "{},\"NewImage\":7}}]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct bytes next = BYTES_LIT("before");
        struct seen seen = {0};
        struct error err = {0};

        if (records_of(bytes_of(lies[i]), "a", "b", &seen, &next, &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        is_text(next, "before");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_a_record_come_in_any_order),
        cmocka_unit_test(the_times_and_ttl_deletes_are_told),
        cmocka_unit_test(records_of_dynamodb_local_are_read),
        cmocka_unit_test(a_time_may_be_written_in_many_ways),
        cmocka_unit_test(a_closed_shard_has_no_next_iterator),
        cmocka_unit_test(a_callers_error_ends_the_records_as_it_is),
        cmocka_unit_test(records_that_lie_are_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

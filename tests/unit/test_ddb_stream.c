/* tests/unit/test_ddb_stream.c - answers of DynamoDB Streams and of DynamoDB Local, and
 * answers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/dynamodb/ddb_stream.h"
#include "support_vector.h"

/* ---- shards ---- */

static void add_page(struct ddb_stream *s, char **last, const char *vector)
{
    AUTO(buf_release) struct buf file;
    struct error err;

    free_charp(last);
    if (ddb_stream_read_page(s, last, vector_read(&file, vector), &err) < 0)
        fail_msg("%s", err.message);
}

static void is_shard(const struct ddb_shard *s, const char *id, const char *parent,
                     const char *starting, const char *ending)
{
    assert_string_equal(s->id, id);
    assert_string_equal(s->parent, parent);
    assert_string_equal(s->starting, starting);
    assert_string_equal(s->ending, ending);
}

static void pages_make_one_list_in_which_a_shard_stands_once(void **state)
{
    AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));
    AUTO(free_charp) char *last = NULL;

    (void)state;
    add_page(s, &last, "ddb/aws_describe_stream_1.json");
    assert_string_equal(last, "shardId-00000001414562045508-2bac9cd2");
    add_page(s, &last, "ddb/aws_describe_stream_2.json");
    assert_null(last);
    ddb_stream_merge(s);
    assert_string_equal(s->status, "ENABLED");
    assert_string_equal(s->view, "NEW_IMAGE");
    assert_int_equal(s->shard_count, 3);
    is_shard(&s->shards[0], "shardId-00000001414562045508-2bac9cd2",
             "shardId-00000001414562000000-gone", "20500000000000000910398",
             "20500000000000000910398");
    is_shard(&s->shards[1], "shardId-00000001414576573621-f55eea83",
             "shardId-00000001414562045508-2bac9cd2", "820400000000000001192334",
             "1683600000000000001135967"); /* closed between the two pages */
    is_shard(&s->shards[2], "shardId-00000001414592258131-674fd923",
             "shardId-00000001414576573621-f55eea83", "1683700000000000001135967", "");
}

/* A page of shards by their numbers; closed: they have ended. */
static void add_numbers(struct ddb_stream *s, int from, int to, bool closed)
{
    AUTO(buf_release) struct buf page = {.ceiling = 64 << 20};
    AUTO(free_charp) char *last = NULL;
    struct error err;

    buf_lit(&page, "{\"StreamDescription\":{\"StreamArn\":\"a\",\"StreamStatus\":\"ENABLED\","
                   "\"Shards\":[");
    for (int i = from; i < to; i++)
        buf_printf(&page,
                   "%s{\"ShardId\":\"shardId-%020d\",\"ParentShardId\":\"shardId-%020d\","
                   "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"%d\"%s}}",
                   i > from ? "," : "", i, i / 2, i,
                   closed ? ",\"EndingSequenceNumber\":\"9\"" : "");
    buf_lit(&page, "]}}");
    if (ddb_stream_read_page(s, &last, buf_slice(&page), &err) < 0)
        fail_msg("%s", err.message);
}

static void tens_of_thousands_of_shards_make_one_list(void **state)
{
    AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));

    (void)state;
    for (int from = 65000; from > 0; from -= 100)
        add_numbers(s, from - 100, from, false);
    add_numbers(s, 30000, 50000, true);
    ddb_stream_merge(s);
    ddb_stream_merge(s); /* changes nothing */
    assert_int_equal(s->shard_count, 65000);
    for (int i = 0; i < 65000; i++) {
        AUTO(free_charp) char *id = xasprintf("shardId-%020d", i);

        assert_string_equal(s->shards[i].id, id);
        assert_string_equal(s->shards[i].ending, i >= 30000 && i < 50000 ? "9" : "");
    }
}

static void a_list_of_one_parents_children_is_known(void **state)
{
    AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));

    (void)state;
    assert_true(ddb_stream_is_of_parent(s, "shardId-00000000000000000003"));
    add_numbers(s, 6, 8, false);
    assert_true(ddb_stream_is_of_parent(s, "shardId-00000000000000000003"));
    assert_false(ddb_stream_is_of_parent(s, "shardId-00000000000000000004"));
    add_numbers(s, 8, 9, false);
    assert_false(ddb_stream_is_of_parent(s, "shardId-00000000000000000003"));
}

static void a_stream_of_dynamodb_local_has_one_open_shard(void **state)
{
    AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));
    AUTO(free_charp) char *last = NULL;

    (void)state;
    add_page(s, &last, "ddb/local_describe_stream.json");
    ddb_stream_merge(s);
    assert_null(last);
    assert_int_equal(s->shard_count, 1);
    is_shard(&s->shards[0], "shardId-00000001795261434673-b74cc921", "",
             "000000000000000000001", "");
}

static void a_stream_that_lies_is_asked_for_again(void **state)
{
    static const char *const lies[] = {
        "",
        "{}",
        "{\"StreamDescription\":{\"StreamArn\":\"a\"}}",
        "{\"StreamDescription\":{\"StreamArn\":\"a\",\"StreamStatus\":\"ENABLED\",\"Shards\":[{"
        "}]}}",
        "{\"StreamDescription\":{\"StreamArn\":\"a\",\"StreamStatus\":\"ENABLED\",\"Shards\":"
        "[{\"ShardId\":\"\"}]}}",
        "{\"StreamDescription\":{\"StreamArn\":\"a\",\"StreamStatus\":\"ENABLED\",\"Shards\":"
        "[{\"ShardId\":\"s\",\"ParentShardId\":7}]}}",
        "{\"StreamDescription\":{\"StreamArn\":\"a\",\"StreamStatus\":\"ENABLED\",\"Shards\":"
        "[{\"ShardId\":\"s\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));
        struct error err = {0};
        char *last = NULL;

        if (ddb_stream_read_page(s, &last, bytes_of(lies[i]), &err) == 0)
            fail_msg("%s was believed", lies[i]);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_null(last);
    }
}

static void the_iterator_is_read(void **state)
{
    AUTO(buf_release) struct buf file;
    AUTO(free_charp) char *iterator = NULL;
    struct error err;

    (void)state;
    assert_int_equal(ddb_stream_iterator_read(
                         &iterator, vector_read(&file, "ddb/local_shard_iterator.json"), &err),
                     0);
    assert_memory_equal(iterator, "arn:aws:dynamodb:ddblocal:", 26);
    assert_int_equal(
        ddb_stream_iterator_read(&iterator, BYTES_LIT("{\"ShardIterator\":null}"), &err), -1);
    assert_int_equal(err.kind, ERR_RETRY);
}

/* ---- records ---- */

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
        cmocka_unit_test(pages_make_one_list_in_which_a_shard_stands_once),
        cmocka_unit_test(tens_of_thousands_of_shards_make_one_list),
        cmocka_unit_test(a_list_of_one_parents_children_is_known),
        cmocka_unit_test(a_stream_of_dynamodb_local_has_one_open_shard),
        cmocka_unit_test(a_stream_that_lies_is_asked_for_again),
        cmocka_unit_test(the_iterator_is_read),
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

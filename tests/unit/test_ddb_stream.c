/* tests/unit/test_ddb_stream.c - descriptions of streams by DynamoDB and by DynamoDB
 * Local, and descriptions that lie. */
#include "common/dynamodb/ddb_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "support_vector.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_make_one_list_in_which_a_shard_stands_once),
        cmocka_unit_test(tens_of_thousands_of_shards_make_one_list),
        cmocka_unit_test(a_list_of_one_parents_children_is_known),
        cmocka_unit_test(a_stream_of_dynamodb_local_has_one_open_shard),
        cmocka_unit_test(a_stream_that_lies_is_asked_for_again),
        cmocka_unit_test(the_iterator_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/component/test_ddb_service.c - the calls against a server that was not written with
 * them: the one of DYNAFERRY_TEST_DYNAMODB (skipped without it), with the environment's
 * credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/config/config_load.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_records.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/stop.h"

#define PATIENCE_MS 60000

static struct ddb_source *source;
static struct ddb_client *client;
static char *table; /* made by open_table, filled by a test */

static int open_client(void)
{
    AUTO(free_charp)
    char *endpoint = xasprintf("source.endpoint_url=%s", getenv("DYNAFERRY_TEST_DYNAMODB"));
    char *argv[] = {"test", "--set", endpoint};
    struct config *c = NULL;
    struct error err;
    int rc;

    setenv("AWS_ACCESS_KEY_ID", "local", 0);
    setenv("AWS_SECRET_ACCESS_KEY", "local", 0);
    rc = config_load(&c, CONFIG_PRODUCER, ARRAY_LEN(argv), argv, NULL, &err);
    if (rc == 0)
        rc = ddb_source_new(&source, c, &err);
    if (rc < 0)
        print_error("%s\n", err.message);
    config_free(c);
    client = rc < 0 ? NULL : ddb_client_new(source);
    return rc;
}

static void call(const char *operation, const char *fmt, const char *name)
{
    AUTO(buf_release) struct buf body = {.ceiling = 10000};
    AUTO(http_answer_release) struct http_answer answer = {0};
    struct error err;

    for (; *fmt; fmt++) /* $ is the table's name */
        if (*fmt == '$')
            buf_printf(&body, "%s", name);
        else
            buf_char(&body, *fmt);
    if (ddb_client_call(client, DDB_TABLES, operation, buf_slice(&body), &answer, &err) < 0)
        fail_msg("%s", err.message);
}

static struct ddb_table *describe(void)
{
    struct ddb_table *t = NULL;
    struct error err;

    if (ddb_table_describe(&t, client, table, &err) < 0)
        fail_msg("%s", err.message);
    return t;
}

static void wait_for_active(bool with_stream)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;

    for (;;) {
        AUTO(ddb_table_freep) struct ddb_table *t = describe();

        if (strcmp(t->status, "ACTIVE") == 0 && t->stream_enabled >= with_stream)
            return;
        assert_true(clock_mono_ms() < end);
        stop_wait_ms(200);
    }
}

static int open_table(void **state)
{
    (void)state;
    if (!getenv("DYNAFERRY_TEST_DYNAMODB"))
        return 0;
    if (open_client() < 0)
        return -1;
    table = xasprintf("dynaferry-test-%d", (int)getpid());
    call("CreateTable",
         "{\"TableName\":\"$\",\"BillingMode\":\"PAY_PER_REQUEST\","
         "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
         "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}],\"AttributeDefinitions\":["
         "{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},"
         "{\"AttributeName\":\"sk\",\"AttributeType\":\"N\"}]}",
         table);
    wait_for_active(false);
    return 0;
}

static int close_table(void **state)
{
    (void)state;
    if (table)
        call("DeleteTable", "{\"TableName\":\"$\"}", table);
    free(table);
    ddb_client_free(client);
    ddb_source_free(source);
    return 0;
}

static void needs_a_server(void)
{
    if (!table)
        skip();
}

static void put_item(int i)
{
    AUTO(free_charp)
    char *request = xasprintf("{\"TableName\":\"$\",\"Item\":{\"pk\":{\"S\":\"\\u00e9\\ud83d"
                              "\\ude00 %d\"},\"sk\":{\"N\":\"%d\"},\"empty\":{\"M\":{}}}}",
                              i % 7, i);

    call("PutItem", request, table);
}

static void the_table_is_described_and_listed(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    char **names = NULL;
    size_t count = 0, found = 0;
    struct error err;

    (void)state;
    needs_a_server();
    t = describe();
    assert_string_equal(t->name, table);
    assert_string_equal(t->key_schema.hash.name, "pk");
    assert_int_equal(t->key_schema.range.type, 'N');
    assert_false(t->stream_enabled);
    assert_true(strlen(t->id) > 0);
    assert_int_equal(ddb_names_list(&names, &count, client, &err), 0);
    for (size_t i = 0; i < count; i++)
        found += strcmp(names[i], table) == 0;
    assert_int_equal(found, 1);
    ddb_names_free(names, count);
}

static void a_missing_table_is_told(void **state)
{
    struct ddb_table *t = NULL;
    struct error err;

    (void)state;
    needs_a_server();
    assert_int_equal(ddb_table_describe(&t, client, "dynaferry-no-such-table", &err), -1);
    assert_int_equal(ddb_client_error(client), DDB_NOT_FOUND);
    assert_int_equal(err.kind, ERR_DATA);
    assert_non_null(strstr(err.message, "table dynaferry-no-such-table: DescribeTable: "
                                        "ResourceNotFoundException"));
}

static int count_item(void *arg, const struct ddb_item *item, struct error *err)
{
    (void)err;
    assert_true(item->hash.len > 0 && item->range.len > 0);
    ++*(int *)arg;
    return 0;
}

/* Every page of a segment, three items each; the start key of a page is a slice of the answer
 * before it. */
static int scan_segment(const struct key_schema *schema, int64_t segment)
{
    struct http_answer answer = {0};
    struct ddb_scan scan = {
        .table = table, .segment = segment, .total_segments = 2, .limit = 3};
    struct error err;
    int items = 0;

    do {
        struct http_answer before = answer;

        answer = (struct http_answer){0};
        if (ddb_scan_page(&answer, client, &scan, &err) < 0 ||
            ddb_scan_items(buf_slice(&answer.body), schema, count_item, &items, &scan.start_key,
                           &err) < 0)
            fail_msg("%s", err.message);
        http_answer_release(&before);
    } while (scan.start_key.len);
    http_answer_release(&answer);
    return items;
}

static void every_item_is_scanned_once_over_segments_and_pages(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;

    (void)state;
    needs_a_server();
    for (int i = 0; i < 20; i++)
        put_item(i);
    t = describe();
    assert_int_equal(scan_segment(&t->key_schema, 0) + scan_segment(&t->key_schema, 1), 20);
}

static int note_sequence(void *arg, const struct ddb_record *rec, struct error *err)
{
    char(*sequences)[65] = arg;
    int n = 0;

    (void)err;
    assert_int_equal(rec->event, 'I');
    assert_true(rec->new_image.len > rec->keys.json.len && rec->keys.hash.len > 0);
    assert_true(rec->created_ms > 1500000000000);
    while (sequences[n][0])
        n++;
    assert_true(n < 9);
    memcpy(sequences[n], rec->sequence.p, rec->sequence.len);
    return 0;
}

static int read_shard(const char *arn, const char *shard, const char *after,
                      char (*sequences)[65], int wanted)
{
    const struct key_schema schema = {.hash = {"pk", 2, 'S'}, .range = {"sk", 2, 'N'}};
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    AUTO(free_charp) char *iterator = NULL;
    struct error err;
    int n = 0;

    if (ddb_stream_iterator(&iterator, client, arn, shard, after, &err) < 0)
        fail_msg("%s", err.message);
    while (n < wanted && clock_mono_ms() < end) {
        AUTO(http_answer_release) struct http_answer answer = {0};
        struct bytes next;

        if (ddb_records_get(&answer, client, iterator, 2, &err) < 0 ||
            ddb_records_each(buf_slice(&answer.body), &schema, note_sequence, sequences, &next,
                             &err) < 0)
            fail_msg("%s", err.message);
        free(iterator);
        iterator = bytes_dup(next);
        for (n = 0; sequences[n][0];)
            n++;
    }
    return n;
}

static void changes_are_read_from_the_begin_and_after_a_number(void **state)
{
    AUTO(ddb_table_freep) struct ddb_table *t = NULL;
    AUTO(ddb_stream_freep) struct ddb_stream *s = NULL;
    char all[10][65] = {{0}}, rest[10][65] = {{0}};
    struct error err;

    (void)state;
    needs_a_server();
    if (ddb_table_enable_stream(client, table, "NEW_IMAGE", &err) < 0)
        fail_msg("%s", err.message);
    wait_for_active(true);
    for (int i = 100; i < 105; i++)
        put_item(7 * i); /* of one partition key, so of one shard */
    t = describe();
    assert_string_equal(t->stream_view, "NEW_IMAGE");
    if (ddb_stream_describe(&s, client, t->stream_arn, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(s->shard_count > 0);
    if (s->shard_count > 1)
        skip(); /* which shard the key is in can't be asked */
    assert_int_equal(read_shard(s->arn, s->shards[0].id, NULL, all, 5), 5);
    assert_int_equal(read_shard(s->arn, s->shards[0].id, all[2], rest, 2), 2);
    assert_string_equal(rest[0], all[3]);
    assert_string_equal(rest[1], all[4]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_described_and_listed),
        cmocka_unit_test(a_missing_table_is_told),
        cmocka_unit_test(every_item_is_scanned_once_over_segments_and_pages),
        cmocka_unit_test(changes_are_read_from_the_begin_and_after_a_number),
    };

    return cmocka_run_group_tests(tests, open_table, close_table);
}

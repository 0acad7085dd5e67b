/* tests/component/test_ddb_calls.c - the calls about streams and scans: what each sends, how
 * many requests it is, and what it makes of an endpoint that knows less, against a scripted
 * server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/config/config_load.h"
#include "common/dynamodb/ddb_stream.h"
#include "common/dynamodb/ddb_table.h"
#include "support_http_server.h"

struct fixture {
    struct http_server *server;
    struct ddb_source *source;
    struct ddb_client *client;
    struct error err;
};

static void open_source(struct fixture *f)
{
    AUTO(free_charp)
    char *endpoint = xasprintf("source.endpoint_url=%s", http_server_url(f->server));
    char secret[] = "source.secret_access_key=hidden";
    char *argv[] = {"test",
                    "--set",
                    endpoint,
                    "--set",
                    "source.access_key_id=AKID",
                    "--set",
                    secret,
                    "--set",
                    "source.region=eu-west-1"};
    struct config *c = NULL;

    if (config_load(&c, CONFIG_PRODUCER, ARRAY_LEN(argv), argv, NULL, &f->err) < 0 ||
        ddb_source_new(&f->source, c, &f->err) < 0)
        fail_msg("%s", f->err.message);
    config_free(c); /* the source keeps what it needs */
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->server = http_server_start();
    open_source(f);
    f->client = ddb_client_new(f->source);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ddb_client_free(f->client);
    ddb_source_free(f->source);
    http_server_stop(f->server);
    free(f);
    return 0;
}

static void was_asked(struct fixture *f, size_t request, const char *body)
{
    const char *sent = strstr(http_server_request(f->server, request), "\r\n\r\n");

    assert_non_null(sent);
    assert_string_equal(sent + 4, body);
}

/* ---- streams ---- */

#define STREAM(shards)                                                                         \
    "{\"StreamDescription\":{\"StreamArn\":\"arn\",\"StreamStatus\":"                          \
    "\"ENABLED\"," shards "}}"
#define SHARD(id, parent) "{\"ShardId\":\"" id "\",\"ParentShardId\":\"" parent "\"}"
#define SLOW                                                                                   \
    "{\"__type\":\"x#LimitExceededException\",\"message\":\"Subscriber limit exceeded\"}"

static void reply(struct fixture *f, int status, const char *body)
{
    http_server_reply(f->server, status, "", bytes_of(body));
}

/* How many children came, -1 for an error. */
static int children(struct fixture *f, bool *filtered)
{
    AUTO(ddb_stream_freep) struct ddb_stream *s = NULL;

    if (ddb_stream_children(&s, filtered, f->client, "arn", "p\"1", &f->err) < 0)
        return -1;
    return (int)s->shard_count;
}

static void children_are_asked_for_by_a_filter(void **state)
{
    struct fixture *f = *state;
    bool filtered = false;

    reply(f, 200, STREAM("\"Shards\":[" SHARD("b", "p\\\"1") "," SHARD("a", "p\\\"1") "]"));
    assert_int_equal(children(f, &filtered), 2);
    assert_true(filtered);
    was_asked(f, 0,
              "{\"StreamArn\":\"arn\",\"ShardFilter\":{\"Type\":\"CHILD_SHARDS\","
              "\"ShardId\":\"p\\\"1\"}}");
    reply(f, 200, STREAM("\"Shards\":[]"));
    assert_int_equal(children(f, &filtered), 0);
    assert_true(filtered);
    assert_int_equal(http_server_requests(f->server), 2);
}

static void an_endpoint_that_ignores_the_filter_is_noticed(void **state)
{
    struct fixture *f = *state;
    bool filtered = true;

    reply(f, 200, STREAM("\"Shards\":[" SHARD("p\\\"1", "") "," SHARD("a", "p\\\"1") "]"));
    assert_int_equal(children(f, &filtered), 2);
    assert_false(filtered);
    filtered = true;
    reply(f, 200,
          STREAM("\"Shards\":[" SHARD("a", "p\\\"1") "],\"LastEvaluatedShardId\":\"a\""));
    assert_int_equal(children(f, &filtered), 1);
    assert_false(filtered); /* the other ones are on another page */
    assert_int_equal(http_server_requests(f->server), 2);
}

static void an_endpoint_that_refuses_the_filter_says_so_in_kind(void **state)
{
    struct fixture *f = *state;
    bool filtered = true;

    reply(f, 400, "{\"__type\":\"x#ValidationException\",\"message\":\"shardFilter\"}");
    assert_int_equal(children(f, &filtered), -1);
    assert_int_equal(ddb_client_error(f->client), DDB_OTHER);
    assert_int_equal(http_server_requests(f->server), 1);
}

static void a_page_is_one_request_however_it_ends(void **state)
{
    struct fixture *f = *state;
    AUTO(ddb_stream_freep) struct ddb_stream *s = xcalloc(1, sizeof(*s));
    AUTO(free_charp) char *last = NULL;

    reply(f, 400, SLOW);
    assert_int_equal(ddb_stream_describe_page(s, &last, f->client, "arn", &f->err), -1);
    assert_int_equal(ddb_client_error(f->client), DDB_THROTTLED);
    assert_int_equal(http_server_requests(f->server), 1);
    reply(f, 200, STREAM("\"Shards\":[" SHARD("a", "") "],\"LastEvaluatedShardId\":\"a\""));
    assert_int_equal(ddb_stream_describe_page(s, &last, f->client, "arn", &f->err), 0);
    assert_string_equal(last, "a");
    reply(f, 400, SLOW);
    assert_int_equal(ddb_stream_describe_page(s, &last, f->client, "arn", &f->err), -1);
    assert_string_equal(last, "a"); /* the place is kept */
    reply(f, 200, STREAM("\"Shards\":[" SHARD("b", "a") "]"));
    assert_int_equal(ddb_stream_describe_page(s, &last, f->client, "arn", &f->err), 0);
    assert_null(last);
    was_asked(f, 3, "{\"StreamArn\":\"arn\",\"ExclusiveStartShardId\":\"a\"}");
    assert_int_equal(s->shard_count, 2);
}

static void the_whole_list_is_asked_for_patiently(void **state)
{
    struct fixture *f = *state;
    AUTO(ddb_stream_freep) struct ddb_stream *s = NULL;

    reply(f, 200, STREAM("\"Shards\":[" SHARD("b", "") "],\"LastEvaluatedShardId\":\"b\""));
    reply(f, 400, SLOW);
    reply(f, 200, STREAM("\"Shards\":[" SHARD("a", "") "," SHARD("b", "") "]"));
    assert_int_equal(ddb_stream_describe(&s, f->client, "arn", &f->err), 0);
    assert_int_equal(s->shard_count, 2);
    assert_string_equal(s->shards[0].id, "a");
    assert_int_equal(http_server_requests(f->server), 3);
}

/* ---- scans ---- */

static void a_scan_asks_what_it_takes_when_that_is_wanted(void **state)
{
    struct fixture *f = *state;
    struct ddb_scan scan = {.table = "t", .segment = 1, .total_segments = 4};

    for (int consumed = 0; consumed < 2; consumed++) {
        AUTO(http_answer_release) struct http_answer answer = {0};

        scan.consumed = consumed;
        reply(f, 200, "{}");
        assert_int_equal(ddb_scan_page(&answer, f->client, &scan, &f->err), 0);
    }
    was_asked(f, 0,
              "{\"TableName\":\"t\",\"ConsistentRead\":true,\"ReturnConsumedCapacity\":"
              "\"NONE\",\"Segment\":1,\"TotalSegments\":4}");
    was_asked(f, 1,
              "{\"TableName\":\"t\",\"ConsistentRead\":true,\"ReturnConsumedCapacity\":"
              "\"TOTAL\",\"Segment\":1,\"TotalSegments\":4}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_are_asked_for_by_a_filter),
        TEST(an_endpoint_that_ignores_the_filter_is_noticed),
        TEST(an_endpoint_that_refuses_the_filter_says_so_in_kind),
        TEST(a_page_is_one_request_however_it_ends),
        TEST(the_whole_list_is_asked_for_patiently),
        TEST(a_scan_asks_what_it_takes_when_that_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

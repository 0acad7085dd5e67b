/* tests/component/test_ddb_client.c - what a call sends, and how each answer is sorted, against
 * a scripted server on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/config/config_load.h"
#include "common/dynamodb/ddb_client.h"
#include "support_http_server.h"

struct fixture {
    struct http_server *server;
    struct ddb_source *source;
    struct ddb_client *client;
    struct http_answer answer;
    struct error err;
};

static void open_source(struct fixture *f, const char *setting)
{
    AUTO(free_charp)
    char *endpoint = xasprintf("source.endpoint_url=%s", http_server_url(f->server));
    char secret[] = "source.secret_access_key=hidden", token[] = "source.session_token=TOKEN";
    char *argv[] = {"test",
                    "--set",
                    endpoint,
                    "--set",
                    "source.access_key_id=AKID",
                    "--set",
                    secret, /* is overwritten */
                    "--set",
                    token,
                    "--set",
                    "source.region=eu-west-1",
                    "--set",
                    (char *)setting};
    struct config *c = NULL;

    if (config_load(&c, CONFIG_PRODUCER, ARRAY_LEN(argv), argv, NULL, &f->err) < 0 ||
        ddb_source_new(&f->source, c, &f->err) < 0)
        fail_msg("%s", f->err.message);
    config_free(c); /* the source keeps what it needs */
    f->client = ddb_client_new(f->source);
}

static void close_source(struct fixture *f)
{
    ddb_client_free(f->client);
    ddb_source_free(f->source);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->server = http_server_start();
    open_source(f, "source.gzip=auto");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    close_source(f);
    http_server_stop(f->server);
    http_answer_release(&f->answer);
    free(f);
    return 0;
}

static int call(struct fixture *f, const char *operation)
{
    http_answer_release(&f->answer);
    f->answer = (struct http_answer){0};
    f->err = (struct error){0};
    return ddb_client_call(f->client, DDB_TABLES, operation, BYTES_LIT("{\"TableName\":\"t\"}"),
                           &f->answer, &f->err);
}

static void succeeds(struct fixture *f, const char *operation, const char *body)
{
    if (call(f, operation) < 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(ddb_client_error(f->client), DDB_OK);
    assert_string_equal(buf_cstr(&f->answer.body), body);
}

static void says(struct fixture *f, const char *words)
{
    if (!strstr(f->err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", f->err.message, words);
    assert_null(strstr(f->err.message, "hidden"));
    assert_null(strstr(f->err.message, "TOKEN"));
}

static void is_refused(struct fixture *f, const char *operation, enum ddb_error error,
                       enum error_kind kind, const char *words)
{
    assert_int_equal(call(f, operation), -1);
    says(f, words);
    assert_int_equal(ddb_client_error(f->client), error);
    assert_int_equal(f->err.kind, kind);
    says(f, operation);
    assert_null(f->answer.body.p);
}

static void a_call_is_a_signed_post(void **state)
{
    struct fixture *f = *state;
    const char *seen;

    http_server_reply(f->server, 200, "", BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    seen = http_server_request(f->server, 0);
    assert_memory_equal(seen, "POST / HTTP/1.1\r\n", 17);
    assert_non_null(strstr(seen, "X-Amz-Target: DynamoDB_20120810.Scan\r\n"));
    assert_non_null(strstr(seen, "Content-Type: application/x-amz-json-1.0\r\n"));
    assert_non_null(strstr(seen, "X-Amz-Security-Token: TOKEN\r\n"));
    assert_non_null(strstr(seen, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/"));
    assert_non_null(strstr(seen, "/eu-west-1/dynamodb/aws4_request, SignedHeaders=content-type;"
                                 "host;x-amz-date;x-amz-security-token;x-amz-target, "));
    assert_non_null(strstr(seen, "\r\n\r\n{\"TableName\":\"t\"}"));
    assert_null(strstr(seen, "Accept-Encoding"));
    assert_null(strstr(seen, "hidden"));
}

static void a_call_to_streams_has_their_target(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 200, "", BYTES_LIT("{}"));
    assert_int_equal(ddb_client_call(f->client, DDB_STREAMS, "GetRecords", BYTES_LIT("{}"),
                                     &f->answer, &f->err),
                     0);
    assert_non_null(strstr(http_server_request(f->server, 0),
                           "X-Amz-Target: DynamoDBStreams_20120810.GetRecords\r\n"));
}

static const struct refusal {
    int status;
    const char *body;
    enum ddb_error error;
    enum error_kind kind;
    int code;
    const char *words;
} poison[] = {
    {400,
     "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\","
     "\"message\":\"Requested resource not found\"}",
     DDB_NOT_FOUND, ERR_DATA, 0, "ResourceNotFoundException (HTTP 400): Requested resource"},
    {400, "{\"__type\":\"x#ResourceInUseException\",\"Message\":\"being created\"}", DDB_IN_USE,
     ERR_RETRY, 0, "being created"},
    {400, "{\"__type\":\"x#ExpiredIteratorException\"}", DDB_EXPIRED_ITERATOR, ERR_DATA, 0,
     "ExpiredIteratorException"},
    {400, "{\"__type\":\"x#TrimmedDataAccessException\"}", DDB_TRIMMED, ERR_DATA, 0, "Trimmed"},
    {400,
     "{\"__type\":\"x#ThrottlingException\",\"message\":\"Too fast\",\"ThrottlingReasons\":[{"
     "\"reason\":\"TableReadProvisionedThroughputExceeded\",\"resource\":\"arn:t\"},{"
     "\"reason\":\"Second\",\"resource\":\"arn:u\"}]}",
     DDB_THROTTLED, ERR_RETRY, 0,
     "Too fast; TableReadProvisionedThroughputExceeded arn:t; Second arn:u"},
    {400, "{\"__type\":\"x#ProvisionedThroughputExceededException\"}", DDB_THROTTLED, ERR_RETRY,
     0, "Provisioned"},
    {400, "{\"__type\":\"x#LimitExceededException\"}", DDB_THROTTLED, ERR_RETRY, 0, "Limit"},
    {400, "{\"__type\":\"x#RequestLimitExceeded\"}", DDB_THROTTLED, ERR_RETRY, 0, "Request"},
    {503, "{\"__type\":\"x#ThrottlingException\"}", DDB_THROTTLED, ERR_RETRY, 0, "HTTP 503"},
    {500, "{\"__type\":\"x#InternalServerError\"}", DDB_BROKEN, ERR_RETRY, 0, "HTTP 500"},
    {500, "{\"__type\":\"x#SomethingNew\"}", DDB_BROKEN, ERR_RETRY, 0, "SomethingNew"},
    {502, "<html>Bad Gateway</html>", DDB_BROKEN, ERR_RETRY, 0, "HTTP 502 without"},
    {503, "", DDB_BROKEN, ERR_RETRY, 0, "HTTP 503 without"},
    {429, "slow", DDB_THROTTLED, ERR_RETRY, 0, "HTTP 429"},
    {400, "{\"__type\":\"x#AccessDeniedException\",\"Message\":\"User: u is not authorized\"}",
     DDB_DENIED, ERR_FATAL, EXIT_NO_RIGHT, "User: u is not authorized"},
    {400, "{\"__type\":\"x#UnrecognizedClientException\"}", DDB_DENIED, ERR_FATAL,
     EXIT_NO_RIGHT, "UnrecognizedClientException"},
    {400, "{\"__type\":\"x#ExpiredTokenException\"}", DDB_DENIED, ERR_FATAL, EXIT_NO_RIGHT,
     "ExpiredTokenException"},
    {403,
     "{\"__type\":\"x#InvalidSignatureException\",\"message\":\"The request signature does not "
     "match.\\n\\nThe Canonical String should have been\\nx-amz-security-token:TOKEN\"}",
     DDB_DENIED, ERR_FATAL, EXIT_NO_RIGHT, "does not match."},
    {403, "<html>no</html>", DDB_DENIED, ERR_FATAL, EXIT_NO_RIGHT, "HTTP 403 without"},
    {400, "{\"__type\":\"x#ValidationException\",\"message\":\"bad limit\"}", DDB_OTHER,
     ERR_FATAL, EXIT_FATAL, "ValidationException (HTTP 400): bad limit"},
    {404, "not here", DDB_OTHER, ERR_FATAL, EXIT_FATAL,
     "HTTP 404 without an error of DynamoDB"},
    {301, "", DDB_OTHER, ERR_FATAL, EXIT_FATAL, "HTTP 301"},
    {400, "{\"__type\":7,\"message\":[]}", DDB_OTHER, ERR_FATAL, EXIT_FATAL,
     "HTTP 400 without"},
};

static void each_refusal_is_sorted_by_what_the_caller_may_do(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(poison); i++) {
        const struct refusal *r = &poison[i];

        http_server_reply(f->server, r->status, "", bytes_of(r->body));
        is_refused(f, "DescribeTable", r->error, r->kind, r->words);
        assert_int_equal(f->err.code, r->code);
    }
}

static void a_long_message_keeps_its_reasons(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp)
    char *body = xasprintf("{\"__type\":\"x#ThrottlingException\",\"message\":\"%02000d\","
                           "\"ThrottlingReasons\":[{\"reason\":\"Why\",\"resource\":\"arn\"}]}",
                           0);

    http_server_reply(f->server, 400, "", bytes_of(body));
    is_refused(f, "Scan", DDB_THROTTLED, ERR_RETRY, "; Why arn");
}

static void a_broken_answer_is_tried_again_by_the_caller(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 200, "", BYTES_LIT("{\"Items\":[]}"))->send_at_most = 50;
    is_refused(f, "Scan", DDB_BROKEN, ERR_RETRY, "bytes remaining");
    http_server_reply(f->server, 200, "x-amz-crc32: 1\r\n", BYTES_LIT("{}"));
    is_refused(f, "Scan", DDB_BROKEN, ERR_RETRY, "x-amz-crc32 is wrong");
    http_server_reply(f->server, 200, "", BYTES_LIT("{\"Items\":[]}"));
    succeeds(f, "Scan", "{\"Items\":[]}");
    assert_int_equal(http_server_requests(f->server), 3);
}

static void only_answers_with_items_may_be_large(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_release) struct buf body = {.ceiling = 16 << 20};

    for (int i = 0; i < 6 * 1024; i++)
        buf_printf(&body, "%01024d", i);
    http_server_reply(f->server, 200, "", buf_slice(&body));
    is_refused(f, "DescribeTable", DDB_BROKEN, ERR_RETRY, "too large");
    http_server_reply(f->server, 200, "", buf_slice(&body));
    succeeds(f, "Scan", buf_cstr(&body));
}

static void gzip_is_asked_for_where_it_is_set(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_release) struct buf packed = {.ceiling = 10000};
    AUTO(free_charp) char *headers = NULL;

    close_source(f);
    open_source(f, "source.gzip=on");
    gzip_pack(&packed, BYTES_LIT("{\"Items\":[]}"));
    headers = xasprintf("x-amz-crc32: %lu\r\nContent-Encoding: gzip\r\n",
                        crc32(0, (const Bytef *)packed.p, (uInt)packed.len));
    http_server_reply(f->server, 200, headers, buf_slice(&packed));
    succeeds(f, "Scan", "{\"Items\":[]}");
    assert_true(f->answer.has_crc32);
    assert_non_null(strstr(http_server_request(f->server, 0), "Accept-Encoding: gzip\r\n"));
}

/* ---- the clock ---- */

#define NOT_YET                                                                                \
    "{\"__type\":\"x#InvalidSignatureException\",\"message\":\"Signature not yet current: "    \
    "20150830T123600Z is still later than 20150830T122000Z\"}"

/* A Date header of a service whose clock differs. */
static char *date_header(int64_t skew_ms)
{
    time_t t = (time_t)((clock_wall_ms() + skew_ms) / 1000);
    char text[64];
    struct tm tm;

    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
    return xasprintf("Date: %s\r\n", text);
}

/* How far the signed time of a request is from ours. */
static int64_t signed_skew_ms(struct fixture *f, size_t request)
{
    const char *at = strstr(http_server_request(f->server, request), "X-Amz-Date: ");
    struct tm tm = {0};

    assert_non_null(at);
    assert_non_null(strptime(at + 12, "%Y%m%dT%H%M%SZ", &tm));
    return (int64_t)timegm(&tm) * 1000 - clock_wall_ms();
}

static void a_wrong_clock_is_put_right_by_the_services_date(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp) char *date = date_header(-3600 * 1000);

    http_server_reply(f->server, 400, date, BYTES_LIT(NOT_YET));
    http_server_reply(f->server, 200, "", BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    assert_in_range(signed_skew_ms(f, 0) + 60000, 0, 60000);
    assert_in_range(signed_skew_ms(f, 1) + 3660000, 0, 120000);
    http_server_reply(f->server, 200, "", BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}"); /* and stays right */
    assert_in_range(signed_skew_ms(f, 2) + 3660000, 0, 120000);
}

static void a_clock_that_is_still_refused_is_no_endless_loop(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp) char *date = date_header(-3600 * 1000);

    http_server_reply(f->server, 400, date, BYTES_LIT(NOT_YET));
    http_server_reply(f->server, 400, date, BYTES_LIT(NOT_YET));
    is_refused(f, "Scan", DDB_DENIED, ERR_FATAL, "not yet current");
    assert_int_equal(http_server_requests(f->server), 2);
}

static void another_invalid_signature_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp) char *date = date_header(-3600 * 1000);

    http_server_reply(f->server, 400, date,
                      BYTES_LIT("{\"__type\":\"x#InvalidSignatureException\","
                                "\"message\":\"The request signature does not match\"}"));
    is_refused(f, "Scan", DDB_DENIED, ERR_FATAL, "does not match");
    http_server_reply(f->server, 400, "Date: yesterday\r\n", BYTES_LIT(NOT_YET));
    is_refused(f, "Scan", DDB_DENIED, ERR_FATAL, "not yet current");
}

/* Within a second and the time of a request. */
static void skew_is(struct fixture *f, int64_t skew_ms)
{
    assert_in_range(ddb_source_skew_ms(f->source) - skew_ms + 60000, 0, 120000);
    assert_in_range(ddb_source_now_ms(f->source) - clock_wall_ms() - skew_ms + 60000, 0,
                    120000);
}

static void each_answer_tells_the_services_time(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp) char *ahead = date_header(30 * 3600 * 1000);
    AUTO(free_charp) char *behind = date_header(-20 * 60 * 1000);
    AUTO(free_charp) char *refusal = xasprintf("%sx-amzn-RequestId: R\r\n", behind);

    skew_is(f, 0);
    http_server_reply(f->server, 200, ahead, BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    skew_is(f, 30 * 3600 * 1000);
    http_server_reply(f->server, 400, refusal, BYTES_LIT("{\"__type\":\"x#Nothing\"}"));
    is_refused(f, "Scan", DDB_OTHER, ERR_FATAL, "Nothing");
    skew_is(f, -20 * 60 * 1000);
    http_server_reply(f->server, 403, ahead, BYTES_LIT("<html>a proxy of another time</html>"));
    is_refused(f, "Scan", DDB_DENIED, ERR_FATAL, "HTTP 403");
    http_server_reply(f->server, 200, "Date: at noon\r\n", BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    http_server_reply(f->server, 200, "Date: Sat, 21 Nov 20260 11:00:00 GMT\r\n",
                      BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    http_server_reply(f->server, 200, "", BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    skew_is(f, -20 * 60 * 1000);
}

static void a_skew_moves_only_as_far_as_an_answer_contradicts_it(void **state)
{
    static const struct {
        int64_t skew, date, asked, answered, becomes;
    } cases[] = {
        {0, 50000, 50010, 50030, 0},     /* the same second */
        {0, 50000, 50990, 51010, 0},     /* the next one has begun meanwhile */
        {0, 50000, 51020, 51040, -21},   /* made at 50999 at the latest, by its own clock */
        {400, 50000, 50010, 50030, 400}, /* inside */
        {0, 51000, 50900, 50930, 70},    /* at 51000 at the earliest */
        {70, 51000, 50990, 51010, 70},
        {0, 50000, 50000, 110000, 0}, /* a slow answer proves little */
        {0, 3650000, 50000, 50020, 3599980},
        {3599980, 50000, 50030, 50050, 969}, /* put right by a person */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ddb_source_skew_by_answer(cases[i].skew, cases[i].date, cases[i].asked,
                                                   cases[i].answered),
                         cases[i].becomes);
}

static void skewed(struct fixture *f, int64_t skew_ms, enum ddb_source_skew_news news)
{
    AUTO(free_charp) char *date = date_header(skew_ms);
    int64_t told;

    http_server_reply(f->server, 200, date, BYTES_LIT("{}"));
    succeeds(f, "Scan", "{}");
    assert_int_equal(ddb_source_skew_news(f->source, &told), news);
    assert_int_equal(told, ddb_source_skew_ms(f->source));
    assert_int_equal(ddb_source_skew_news(f->source, &told), DDB_SKEW_SAME);
}

static void a_large_skew_is_news_once_until_it_is_gone(void **state)
{
    struct fixture *f = *state;

    skewed(f, 0, DDB_SKEW_SAME);
    skewed(f, 270000, DDB_SKEW_SAME);
    skewed(f, -400000, DDB_SKEW_LARGE);
    skewed(f, 9000000, DDB_SKEW_SAME);
    skewed(f, 270000, DDB_SKEW_SAME); /* not at each step around the limit */
    skewed(f, 100000, DDB_SKEW_GONE);
    skewed(f, 400000, DDB_SKEW_LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_a_signed_post),
        TEST(a_call_to_streams_has_their_target),
        TEST(each_refusal_is_sorted_by_what_the_caller_may_do),
        TEST(a_long_message_keeps_its_reasons),
        TEST(a_broken_answer_is_tried_again_by_the_caller),
        TEST(only_answers_with_items_may_be_large),
        TEST(gzip_is_asked_for_where_it_is_set),
        TEST(a_wrong_clock_is_put_right_by_the_services_date),
        TEST(a_clock_that_is_still_refused_is_no_endless_loop),
        TEST(another_invalid_signature_is_not_tried_again),
        TEST(each_answer_tells_the_services_time),
        cmocka_unit_test(a_skew_moves_only_as_far_as_an_answer_contradicts_it),
        TEST(a_large_skew_is_news_once_until_it_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

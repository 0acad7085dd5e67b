/* tests/component/test_http.c - what http.h promises about whole and broken answers, against a
 * scripted server on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <zlib.h>

#include "common/base/clock.h"
#include "common/dynamodb/http.h"
#include "common/run/stop.h"
#include "support_http_server.h"

struct fixture {
    struct http_server *server;
    struct http *http;
    struct http_answer answer;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->server = http_server_start();
    f->http = http_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    http_free(f->http); /* first: the server waits for the connection's end */
    http_server_stop(f->server);
    http_answer_release(&f->answer);
    free(f);
    return 0;
}

static struct http_request request_to(struct fixture *f)
{
    static const struct http_header headers[] = {{"x-one", "1"}, {NULL, NULL}};

    return (struct http_request){.method = "POST",
                                 .url = http_server_url(f->server),
                                 .headers = headers,
                                 .body = BYTES_LIT("{\"a\":1}"),
                                 .connect_timeout_ms = 2000,
                                 .timeout_ms = 5000,
                                 .max_answer_bytes = 100000};
}

static int ask(struct fixture *f, const struct http_request *req)
{
    http_answer_release(&f->answer);
    f->answer = (struct http_answer){0};
    f->err = (struct error){0};
    return http_do(f->http, req, &f->answer, &f->err);
}

static void answers(struct fixture *f, const char *body)
{
    struct http_request req = request_to(f);

    if (ask(f, &req) < 0)
        fail_msg("%s", f->err.message);
    assert_string_equal(buf_cstr(&f->answer.body), body);
}

static void is_refused_for(struct fixture *f, const struct http_request *req,
                           const char *reason)
{
    const char *host = http_server_url(f->server) + strlen("http://");

    assert_int_equal(ask(f, req), -1);
    assert_int_equal(f->err.kind, ERR_RETRY);
    if (!strstr(f->err.message, reason) || !strstr(f->err.message, host))
        fail_msg("\"%s\" does not say \"%s\" of %s", f->err.message, reason, host);
    assert_null(f->answer.body.p);
}

static void refuses(struct fixture *f, const char *reason)
{
    struct http_request req = request_to(f);

    is_refused_for(f, &req, reason);
}

static char *crc_header(struct bytes sent, uint32_t change)
{
    uint32_t sum = (uint32_t)crc32(0, (const Bytef *)sent.p, (uInt)sent.len) ^ change;

    return xasprintf("x-amz-crc32: %u\r\n", sum);
}

static void gives_status_body_date_and_request_id(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 400,
                      "Date: Sat, 21 Nov 2026 11:00:00 GMT\r\nx-amzn-RequestId: R1\r\n",
                      BYTES_LIT("no"));
    answers(f, "no");
    assert_int_equal(f->answer.status, 400);
    assert_string_equal(f->answer.date, "Sat, 21 Nov 2026 11:00:00 GMT");
    assert_string_equal(f->answer.request_id, "R1");
    assert_false(f->answer.has_crc32);
}

static void sends_headers_and_body_as_given(void **state)
{
    struct fixture *f = *state;
    const char *seen;

    http_server_reply(f->server, 200, "", BYTES_LIT(""));
    answers(f, "");
    seen = http_server_request(f->server, 0);
    assert_memory_equal(seen, "POST / HTTP/1.1\r\n", 17);
    assert_non_null(strstr(seen, "\r\nx-one: 1\r\n"));
    assert_non_null(strstr(seen, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(seen, "Expect:"));
    assert_null(strstr(seen, "Accept-Encoding:"));
}

static void keeps_the_connection(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        http_server_reply(f->server, 200, "", BYTES_LIT("x"));
        answers(f, "x");
    }
    assert_int_equal(http_server_connections(f->server), 1);
}

static void goes_on_after_the_server_closed_a_kept_connection(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 200, "", BYTES_LIT("x"))->then_close = true;
    answers(f, "x");
    http_server_reply(f->server, 200, "", BYTES_LIT("y"));
    answers(f, "y");
    assert_int_equal(http_server_connections(f->server), 2);
}

static void checks_the_crc_over_the_bytes(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp) char *right = crc_header(BYTES_LIT("body"), 0);
    AUTO(free_charp) char *wrong = crc_header(BYTES_LIT("body"), 1);

    http_server_reply(f->server, 200, right, BYTES_LIT("body"));
    answers(f, "body");
    assert_true(f->answer.has_crc32);
    http_server_reply(f->server, 200, wrong, BYTES_LIT("body"));
    refuses(f, "x-amz-crc32 is wrong");
    http_server_reply(f->server, 200, "x-amz-crc32: 12monkeys\r\n", BYTES_LIT("body"));
    refuses(f, "x-amz-crc32 is wrong");
}

static void unpacks_gzip_and_checks_the_crc_over_the_packed_bytes(void **state)
{
    struct fixture *f = *state;
    struct http_request req = request_to(f);
    AUTO(buf_release) struct buf plain = {.ceiling = 1 << 22};
    AUTO(buf_release) struct buf packed = {.ceiling = 1 << 22};
    AUTO(free_charp) char *crc = NULL, *headers = NULL;

    for (int i = 0; i < 9000; i++)
        buf_printf(&plain, "item %d\n", i);
    gzip_pack(&packed, buf_slice(&plain));
    crc = crc_header(buf_slice(&packed), 0);
    headers = xasprintf("%sContent-Encoding: gzip\r\n", crc);
    http_server_reply(f->server, 200, headers, buf_slice(&packed));
    req.gzip = true;
    if (ask(f, &req) < 0)
        fail_msg("%s", f->err.message);
    assert_true(bytes_equal(buf_slice(&f->answer.body), buf_slice(&plain)));
    assert_true(f->answer.has_crc32);
    assert_non_null(strstr(http_server_request(f->server, 0), "Accept-Encoding: gzip\r\n"));
}

static void refuses_broken_gzip(void **state)
{
    static const char gzip[] = "Content-Encoding: gzip\r\n";
    struct fixture *f = *state;
    struct http_request req = request_to(f);
    AUTO(buf_release) struct buf packed = {.ceiling = 1 << 22};

    req.gzip = true;
    gzip_pack(&packed, BYTES_LIT("an answer that was packed"));
    http_server_reply(f->server, 200, gzip, (struct bytes){packed.p, packed.len - 3});
    is_refused_for(f, &req, "gzip data was cut");
    buf_lit(&packed, "more");
    http_server_reply(f->server, 200, gzip, buf_slice(&packed));
    is_refused_for(f, &req, "goes on after the end");
    http_server_reply(f->server, 200, gzip, BYTES_LIT("{\"not\":\"packed\"}"));
    is_refused_for(f, &req, "damaged");
    http_server_reply(f->server, 200, gzip, BYTES_LIT("never asked for"));
    refuses(f, "not asked for");
}

/* A small answer that unpacks to ten times the ceiling. */
static void holds_the_ceiling_while_unpacking(void **state)
{
    struct fixture *f = *state;
    struct http_request req = request_to(f);
    AUTO(buf_release) struct buf plain = {.ceiling = 1 << 22};
    AUTO(buf_release) struct buf packed = {.ceiling = 1 << 22};

    while (plain.len < 1000000)
        buf_lit(&plain, "00000000000000000000");
    gzip_pack(&packed, buf_slice(&plain));
    req.gzip = true;
    http_server_reply(f->server, 200, "Content-Encoding: gzip\r\n", buf_slice(&packed));
    is_refused_for(f, &req, "too large once unpacked");
}

static void refuses_an_absurd_content_length(void **state)
{
    struct fixture *f = *state;

    http_server_reply_raw(
        f->server, BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000\r\n\r\n{"));
    refuses(f, "too large by its Content-Length");
    http_server_reply_raw(f->server,
                          BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"));
    refuses(f, "Content-Length");
    http_server_reply_raw(
        f->server,
        BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n{}"));
    refuses(f, "");
}

static void refuses_an_endless_answer_at_the_ceiling(void **state)
{
    struct fixture *f = *state;
    AUTO(buf_release) struct buf wire = {.ceiling = 1 << 20};

    buf_lit(&wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 30; i++)
        buf_printf(&wire, "1000\r\n%04096d\r\n", i);
    http_server_reply_raw(f->server, buf_slice(&wire));
    refuses(f, "too large");
}

static void takes_a_chunked_answer(void **state)
{
    struct fixture *f = *state;

    http_server_reply_raw(f->server,
                          BYTES_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
    answers(f, "abcde");
}

static void refuses_a_cut_answer(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 200, "", BYTES_LIT("0123456789"))->send_at_most = 45;
    refuses(f, "bytes remaining");
    http_server_reply_raw(f->server,
                          BYTES_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "ff\r\nabc"))
        ->then_close = true;
    refuses(f, "");
    http_server_reply_raw(f->server, BYTES_LIT("HTTP/1.1 20"))->then_close = true;
    refuses(f, "");
    http_server_reply_raw(f->server, BYTES_LIT(""))->then_close = true;
    refuses(f, "Empty reply");
}

static void refuses_what_is_no_http(void **state)
{
    struct fixture *f = *state;

    http_server_reply_raw(f->server, BYTES_LIT("SSH-2.0-OpenSSH_9.2\r\n"))->then_close = true;
    refuses(f, "");
}

static void gives_up_a_slow_drip_at_the_timeout(void **state)
{
    struct fixture *f = *state;
    struct http_request req = request_to(f);
    int64_t begin = clock_mono_ms();
    struct reply *slow;
    char body[2400];

    req.timeout_ms = 400;
    memset(body, 'x', sizeof(body));
    slow = http_server_reply(f->server, 200, "", (struct bytes){body, sizeof(body)});
    slow->drip_ms = 200; /* half a minute in all */
    is_refused_for(f, &req, "timed out");
    assert_in_range(clock_mono_ms() - begin, 390, 15000);
}

static void does_not_follow_a_redirect(void **state)
{
    struct fixture *f = *state;
    AUTO(free_charp)
    char *where = xasprintf("Location: %s/elsewhere\r\n", http_server_url(f->server));

    http_server_reply(f->server, 301, where, BYTES_LIT(""));
    answers(f, "");
    assert_int_equal(f->answer.status, 301);
    assert_int_equal(http_server_requests(f->server), 1);
}

static void names_the_host_that_can_not_be_reached(void **state)
{
    struct fixture *f = *state;
    struct http_request req = request_to(f);

    req.url = "http://127.0.0.1:1/";
    assert_int_equal(ask(f, &req), -1);
    assert_int_equal(f->err.kind, ERR_RETRY);
    assert_non_null(strstr(f->err.message, "127.0.0.1:1: "));
    req.url = "file:///etc/passwd";
    assert_int_equal(ask(f, &req), -1);
}

static void a_stop_lets_a_request_finish_that_is_nearly_done(void **state)
{
    struct fixture *f = *state;

    http_server_reply(f->server, 200, "", BYTES_LIT("whole"))->delay_ms = 200;
    stop_request();
    answers(f, "whole");
    stop_reset();
}

static void a_stop_ends_a_long_request_within_seconds(void **state)
{
    struct fixture *f = *state;
    struct http_request req = request_to(f);
    int64_t begin = clock_mono_ms();

    req.timeout_ms = 60000;
    http_server_reply(f->server, 200, "", BYTES_LIT("late"))->delay_ms = 60000;
    stop_request();
    is_refused_for(f, &req, "the program stops");
    assert_in_range(clock_mono_ms() - begin, 2000, 30000);
    stop_reset();
}

/* ---- what libcurl refuses ---- */

static void fails_alone(struct fixture *f, const char *url, const char *reason)
{
    struct http_request req = request_to(f);

    req.url = url;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ask(f, &req), -1);
        assert_int_equal(f->err.kind, ERR_RETRY);
        if (!strstr(f->err.message, reason))
            fail_msg("\"%s\" does not say \"%s\"", f->err.message, reason);
    }
    http_server_reply(f->server, 200, "", BYTES_LIT("well"));
    answers(f, "well"); /* the same struct http goes on */
}

static void a_name_that_does_not_resolve_fails_only_its_requests(void **state)
{
    fails_alone(*state, "http://nosuch.invalid:1/", "nosuch.invalid");
}

static void a_proxy_that_does_not_resolve_fails_only_its_requests(void **state)
{
    setenv("http_proxy", "http://noproxy.invalid:1", 1);
    fails_alone(*state, "http://service.example:1/", "noproxy.invalid");
    unsetenv("http_proxy");
}

static void a_url_that_libcurl_does_not_take_is_an_error(void **state)
{
    AUTO(buf_release) struct buf endless = {.ceiling = 10 << 20};

    buf_lit(&endless, "http://127.0.0.1/");
    for (size_t i = 0; i < (9 << 20); i++)
        buf_char(&endless, 'x');
    fails_alone(*state, "ftp://127.0.0.1:1/", "127.0.0.1:1: ");
    fails_alone(*state, buf_cstr(&endless), "127.0.0.1: ");
}

static void knows_this_machine_by_its_names(void **state)
{
    (void)state;
    assert_true(http_is_loopback("http://127.0.0.1:8000"));
    assert_true(http_is_loopback("http://localhost:8000/"));
    assert_true(http_is_loopback("http://LOCALHOST"));
    assert_true(http_is_loopback("https://[::1]:8000"));
    assert_false(http_is_loopback("https://localhost.example.org"));
    assert_false(http_is_loopback("https://dynamodb.eu-west-1.amazonaws.com"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_status_body_date_and_request_id),
        TEST(sends_headers_and_body_as_given),
        TEST(keeps_the_connection),
        TEST(goes_on_after_the_server_closed_a_kept_connection),
        TEST(checks_the_crc_over_the_bytes),
        TEST(unpacks_gzip_and_checks_the_crc_over_the_packed_bytes),
        TEST(refuses_broken_gzip),
        TEST(holds_the_ceiling_while_unpacking),
        TEST(refuses_an_absurd_content_length),
        TEST(refuses_an_endless_answer_at_the_ceiling),
        TEST(takes_a_chunked_answer),
        TEST(refuses_a_cut_answer),
        TEST(refuses_what_is_no_http),
        TEST(gives_up_a_slow_drip_at_the_timeout),
        TEST(does_not_follow_a_redirect),
        TEST(names_the_host_that_can_not_be_reached),
        TEST(a_stop_lets_a_request_finish_that_is_nearly_done),
        TEST(a_stop_ends_a_long_request_within_seconds),
        TEST(a_name_that_does_not_resolve_fails_only_its_requests),
        TEST(a_proxy_that_does_not_resolve_fails_only_its_requests),
        TEST(a_url_that_libcurl_does_not_take_is_an_error),
        TEST(knows_this_machine_by_its_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

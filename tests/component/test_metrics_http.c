/* tests/component/test_metrics_http.c - the three pages over a real socket, and nothing else.
 */
#include "common/run/metrics_http.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/run/health.h"
#include "common/run/metrics.h"
#include "common/run/notify.h"
#include "common/run/stop.h"

static struct metrics_http *server;
static char port_text[8];

static int listening_socket(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int start(const char *address, const char *port, struct error *err)
{
    AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);

    config_store(config_setting_of(c, "http.listen"), address, "test", 0);
    config_store(config_setting_of(c, "http.port"), port, "test", 0);
    return metrics_http_start(&server, c, err);
}

static int start_server(void **state)
{
    struct error err = {0};
    uint16_t port;
    int result = -1;

    (void)state;
    for (int i = 0; i < 10 && result < 0; i++) { /* somebody else may be given the port */
        close(listening_socket(&port));
        snprintf(port_text, sizeof(port_text), "%u", port);
        result = start("127.0.0.1", port_text, &err);
    }
    if (result < 0)
        fail_msg("%s", err.message);
    assert_non_null(server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    metrics_http_stop(server);
    server = NULL;
    return 0;
}

/* The whole answer to one request on a connection of its own; the caller frees. */
static char *answer_to(const char *request)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(port_text)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *answer = xcalloc(1, 1 << 20);
    size_t len = 0;
    ssize_t n;

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while ((n = read(fd, answer + len, (1 << 20) - 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    return answer;
}

static char *get(const char *path)
{
    AUTO(free_charp)
    char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);

    return answer_to(request);
}

static void is_answer(const char *answer, const char *status, const char *body)
{
    AUTO(free_charp) char *first = xasprintf("HTTP/1.1 %s", status);
    const char *at = strstr(answer, "\r\n\r\n");

    if (strncmp(answer, first, strlen(first)) != 0)
        fail_msg("wanted %s, got %s", status, answer);
    assert_non_null(at);
    assert_string_equal(at + 4, body);
}

static void metrics_are_served_in_the_exposition_format(void **state)
{
    struct metric *m = metric_get(METRIC_COUNTER, "h_total", "H.", "a=\"b\"");
    AUTO(free_charp) char *answer = NULL;

    (void)state;
    metric_add(m, 3);
    answer = get("/metrics");
    is_answer(answer, "200", "# HELP h_total H.\n# TYPE h_total counter\nh_total{a=\"b\"} 3\n");
    assert_non_null(
        strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    metric_remove(m);
}

static void health_is_503_while_a_part_is_stuck(void **state)
{
    struct health *h = health_get("part", 20);
    AUTO(free_charp) char *stuck = NULL;
    AUTO(free_charp) char *well = NULL;

    (void)state;
    stop_wait_ms(40);
    stuck = get("/healthz");
    assert_memory_equal(stuck, "HTTP/1.1 503", 12);
    assert_non_null(strstr(stuck, "\r\n\r\nstuck: part: no progress for "));
    health_remove(h);
    well = get("/healthz");
    is_answer(well, "200", "ok\n");
}

static void readiness_is_served(void **state)
{
    AUTO(free_charp) char *before = get("/readyz");
    AUTO(free_charp) char *after = NULL;

    (void)state;
    is_answer(before, "503", "not ready\n");
    health_ready(true);
    after = get("/readyz");
    is_answer(after, "200", "ok\n");
    health_ready(false);
}

static void only_a_main_loop_that_stands_still_is_not_alive(void **state)
{
    struct health *h = health_new("part", 0); /* stuck at once */
    AUTO(free_charp) char *not_begun = get("/livez");
    AUTO(free_charp) char *turning = NULL;
    AUTO(free_charp) char *standing = NULL;

    (void)state;
    is_answer(not_begun, "200", "ok\n");
    notify_turn_at(clock_mono_ms() - 170 * 1000);
    turning = get("/livez");
    is_answer(turning, "200", "ok\n");
    notify_turn_at(clock_mono_ms() - 181 * 1000);
    standing = get("/livez");
    is_answer(standing, "503", "the main loop does not turn\n");
    notify_turn_at(0);
    health_remove(h);
}

static void other_paths_and_methods_are_refused(void **state)
{
    AUTO(free_charp) char *path = get("/metrics/../etc");
    AUTO(free_charp)
    char *post = answer_to("POST /metrics HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n"
                           "Connection: close\r\n\r\nxx");
    AUTO(free_charp)
    char *head = answer_to("HEAD /readyz HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n");

    (void)state;
    is_answer(path, "404", "/metrics, /healthz, /readyz, /livez\n");
    is_answer(post, "405", "only GET and HEAD\n");
    assert_non_null(strstr(post, "Allow: GET, HEAD\r\n"));
    is_answer(head, "503", "");
}

static void a_silent_connection_does_not_hold_the_others_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(port_text)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO(free_charp) char *answer = NULL;

    (void)state;
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(send(fd, "GET /met", 8, MSG_NOSIGNAL), 8);
    answer = get("/healthz");
    is_answer(answer, "200", "ok\n");
    close(fd);
}

static void port_0_means_no_server(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(start("127.0.0.1", "0", &err), 0);
    assert_null(server);
    metrics_http_stop(server);
}

static void a_taken_port_and_a_bad_address_are_errors(void **state)
{
    struct error err = {0};
    uint16_t port;
    int fd = listening_socket(&port);
    AUTO(free_charp) char *taken = xasprintf("%u", port);
    AUTO(free_charp)
    char *wanted = xasprintf("http.port = %u on 127.0.0.1: Address already in use", port);

    (void)state;
    assert_int_equal(start("127.0.0.1", taken, &err), -1);
    assert_int_equal(err.code, 78);
    assert_string_equal(err.message, wanted);
    assert_int_equal(start("1.2.3", taken, &err), -1);
    assert_string_equal(err.message, "http.listen = 1.2.3: allowed is an IPv4 or IPv6 address");
    assert_null(server);
    close(fd);
}

int main(void)
{
#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)
    const struct CMUnitTest tests[] = {
        HTTP_TEST(metrics_are_served_in_the_exposition_format),
        HTTP_TEST(health_is_503_while_a_part_is_stuck),
        HTTP_TEST(readiness_is_served),
        HTTP_TEST(only_a_main_loop_that_stands_still_is_not_alive),
        HTTP_TEST(other_paths_and_methods_are_refused),
        HTTP_TEST(a_silent_connection_does_not_hold_the_others_up),
        cmocka_unit_test(port_0_means_no_server),
        cmocka_unit_test(a_taken_port_and_a_bad_address_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

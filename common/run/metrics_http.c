#include "common/run/metrics_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/run/health.h"
#include "common/run/metrics.h"
#include "common/run/notify.h"

enum {
    ANSWER_BYTES = 32 * 1024 * 1024,
    CONNECTION_BYTES = 16 * 1024, /* of a request's lines */
    CONNECTIONS = 32,
    TIMEOUT_S = 10,
};

#define PLAIN "text/plain; charset=utf-8"
#define EXPOSITION "text/plain; version=0.0.4; charset=utf-8"

struct metrics_http {
    struct MHD_Daemon *daemon;
};

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *type, struct bytes text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text.len, (void *)(uintptr_t)text.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result res;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    res = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return res;
}

static enum MHD_Result send_metrics(struct MHD_Connection *connection)
{
    AUTO(buf_release) struct buf b;

    buf_init(&b, ANSWER_BYTES);
    metrics_write(&b);
    if (b.overflow)
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, PLAIN,
                         BYTES_LIT("too many metrics\n"));
    return send_text(connection, MHD_HTTP_OK, EXPOSITION, buf_slice(&b));
}

static enum MHD_Result send_health(struct MHD_Connection *connection)
{
    AUTO(buf_release) struct buf b;
    bool well;

    buf_init(&b, ANSWER_BYTES);
    well = health_write(&b);
    return send_text(connection, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN,
                     buf_slice(&b));
}

static enum MHD_Result send_yes_or(struct MHD_Connection *connection, bool yes, struct bytes no)
{
    return yes ? send_text(connection, MHD_HTTP_OK, PLAIN, BYTES_LIT("ok\n"))
               : send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN, no);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version,
                                  const char *upload_data, size_t *upload_data_size,
                                  void **request)
{
    (void)arg, (void)version, (void)upload_data, (void)upload_data_size, (void)request;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, PLAIN,
                         BYTES_LIT("only GET and HEAD\n"));
    if (strcmp(url, "/metrics") == 0)
        return send_metrics(connection);
    if (strcmp(url, "/healthz") == 0)
        return send_health(connection);
    if (strcmp(url, "/readyz") == 0)
        return send_yes_or(connection, health_is_ready(), BYTES_LIT("not ready\n"));
    if (strcmp(url, "/livez") == 0)
        return send_yes_or(connection, notify_is_turning(),
                           BYTES_LIT("the main loop does not turn\n"));
    return send_text(connection, MHD_HTTP_NOT_FOUND, PLAIN,
                     BYTES_LIT("/metrics, /healthz, /readyz, /livez\n"));
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int read_address(union address *ret, const char *text, uint16_t port, struct error *err)
{
    union address a = {0};

    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(port);
    } else {
        return error_fatal(err, EXIT_CONFIGURATION,
                           "http.listen = %s: allowed is an IPv4 or IPv6 address", text);
    }
    *ret = a;
    return 0;
}

static struct MHD_Daemon *start_daemon(const union address *a)
{
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC;

    if (a->any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR,
                            &a->any, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_END);
}

int metrics_http_start(struct metrics_http **ret, const struct config *c, struct error *err)
{
    const char *address = config_string(c, "http.listen");
    int64_t port = config_int(c, "http.port");
    struct MHD_Daemon *daemon;
    union address a;

    if (!port) {
        *ret = NULL;
        return 0;
    }
    if (read_address(&a, address, (uint16_t)port, err) < 0)
        return -1;
    daemon = start_daemon(&a);
    if (!daemon)
        return error_fatal(err, EXIT_CONFIGURATION, "http.port = %" PRId64 " on %s: %s", port,
                           address, errno ? strerror(errno) : "can't listen");
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->daemon = daemon;
    return 0;
}

void metrics_http_stop(struct metrics_http *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}

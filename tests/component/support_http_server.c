/* tests/component/support_http_server.c - see support_http_server.h. */
#include "support_http_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/check.h"

#define SCRIPT_MAX 64

struct scripted {
    struct reply how;
    struct buf wire;
};

struct http_server {
    /* set once */
    pthread_t thread;
    int listener;
    char url[64];
    /* under mutex */
    pthread_mutex_t mutex;
    int connection; /* -1: none */
    bool stopping;
    struct scripted script[SCRIPT_MAX];
    size_t written;
    char *requests[SCRIPT_MAX];
    size_t asked;
    size_t connections;
};

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Ends early when the client has left: it has nothing to say before it has its answer. */
static void delay(int fd, int ms)
{
    struct pollfd client = {.fd = fd, .events = POLLIN};

    poll(&client, 1, ms);
}

static bool send_scripted(int fd, const struct scripted *a)
{
    size_t n = MIN(a->wire.len, a->how.send_at_most), step = a->how.drip_ms ? 16 : n;

    delay(fd, a->how.delay_ms);
    for (size_t at = 0; at < n; at += step) {
        if (!send_all(fd, a->wire.p + at, MIN(step, n - at)))
            return false;
        usleep((useconds_t)a->how.drip_ms * 1000);
    }
    return n == a->wire.len && !a->how.then_close;
}

static size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");

    return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* A whole request as text, or NULL when the client closed. */
static char *receive_request(int fd)
{
    AUTO(buf_release) struct buf in = {.ceiling = 16 << 20};

    for (;;) {
        const char *text = buf_cstr(&in), *end = strstr(text, "\r\n\r\n");
        ssize_t n;

        if (end && in.len >= (size_t)(end - text) + 4 + content_length(text))
            return xstrdup(text);
        CHECK(buf_reserve(&in, 65536));
        n = recv(fd, in.p + in.len, 65536, 0);
        if (n <= 0)
            return NULL;
        in.len += (size_t)n;
    }
}

/* The answer to this request, or NULL past the end of the script. */
static const struct scripted *take_answer(struct http_server *s, char *request)
{
    AUTO_LOCK(&s->mutex);

    if (s->asked >= s->written) {
        fprintf(stderr, "a request that is not in the script: %s\n", request);
        free(request);
        return NULL;
    }
    s->requests[s->asked] = request;
    return &s->script[s->asked++];
}

static void serve_connection(struct http_server *s, int fd)
{
    for (;;) {
        char *request = receive_request(fd);
        const struct scripted *a = request ? take_answer(s, request) : NULL;

        if (!a || !send_scripted(fd, a))
            return;
    }
}

static bool set_connection(struct http_server *s, int fd)
{
    AUTO_LOCK(&s->mutex);

    s->connection = fd;
    s->connections += fd >= 0;
    return !s->stopping;
}

static void *serve(void *arg)
{
    struct http_server *s = arg;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        if (set_connection(s, fd))
            serve_connection(s, fd);
        set_connection(s, -1);
        close(fd);
    }
    return NULL;
}

struct http_server *http_server_start(void)
{
    struct http_server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    s->connection = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s->listener >= 0);
    CHECK(bind(s->listener, (struct sockaddr *)&addr, len) == 0 && listen(s->listener, 8) == 0);
    CHECK(getsockname(s->listener, (struct sockaddr *)&addr, &len) == 0);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(addr.sin_port));
    CHECK(pthread_mutex_init(&s->mutex, NULL) == 0);
    CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
    return s;
}

static void end_connections(struct http_server *s)
{
    AUTO_LOCK(&s->mutex);

    s->stopping = true;
    shutdown(s->listener, SHUT_RDWR);
    if (s->connection >= 0)
        shutdown(s->connection, SHUT_RDWR);
}

void http_server_stop(struct http_server *s)
{
    end_connections(s);
    CHECK(pthread_join(s->thread, NULL) == 0);
    close(s->listener);
    for (size_t i = 0; i < s->written; i++) {
        buf_release(&s->script[i].wire);
        free(s->requests[i]);
    }
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

const char *http_server_url(const struct http_server *s)
{
    return s->url;
}

struct reply *http_server_reply_raw(struct http_server *s, struct bytes wire)
{
    AUTO_LOCK(&s->mutex);
    struct scripted *a = &s->script[s->written++];

    CHECK(s->written < SCRIPT_MAX);
    a->how = (struct reply){.send_at_most = SIZE_MAX};
    buf_init(&a->wire, 64 << 20);
    buf_bytes(&a->wire, wire);
    return &a->how;
}

struct reply *http_server_reply(struct http_server *s, int status, const char *headers,
                                struct bytes body)
{
    AUTO(buf_release) struct buf wire = {.ceiling = 64 << 20};

    buf_printf(&wire, "HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
               body.len);
    buf_bytes(&wire, body);
    return http_server_reply_raw(s, buf_slice(&wire));
}

size_t http_server_requests(struct http_server *s)
{
    AUTO_LOCK(&s->mutex);

    return s->asked;
}

size_t http_server_connections(struct http_server *s)
{
    AUTO_LOCK(&s->mutex);

    return s->connections;
}

const char *http_server_request(struct http_server *s, size_t i)
{
    AUTO_LOCK(&s->mutex);

    CHECK(i < s->asked);
    return s->requests[i];
}

void gzip_pack(struct buf *out, struct bytes data)
{
    z_stream z = {0};

    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(buf_reserve(out, deflateBound(&z, data.len)));
    z.next_in = (Bytef *)data.p;
    z.avail_in = (uInt)data.len;
    z.next_out = (Bytef *)out->p + out->len;
    z.avail_out = (uInt)(out->cap - out->len);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

/* tests/bench/endpoint.c - DynamoDB and its Streams as a server that costs hardly any CPU, for
 * measuring a producer with thousands of tables or shards.
 *
 *     endpoint [tables=1] [shards=1] [items=3] [records=0] [clock=1] [roll_s=0] [spread=0]
 *              [list_ms=300] [describes=10] [streams=1] [knows_filter=1] [delay_ms=0]
 *
 * endpoint_shards.h says what these are; delay_ms is how long an answer takes. No signature is
 * looked at. It prints its address and ends with the process that started it. GET /_stats gives
 * what was asked of it as JSON, POST /_reset begins that anew. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/bench/bench_support.h"
#include "tests/bench/endpoint_calls.h"

#define REQUEST_AT_MOST ((size_t)1 << 20)
#define ANSWER_AT_MOST ((size_t)64 << 20)
#define READ_BYTES 16384
#define EVENTS 256

struct connection {
    int fd;
    bool closed; /* while its answer waits */
    struct buf in, out;
    size_t sent;
    int64_t due_ms;
    struct connection *next; /* of those whose answers wait */
};

struct server {
    int epoll, listener;
    int64_t delay_ms; /* the same for all, so the ones that wait are in order */
    struct connection *first_waiting, *last_waiting;
    struct source *source;
    struct buf body;
    time_t date_of;
    char date[64];
};

struct request {
    struct bytes path;
    struct bytes operation;
    struct bytes body;
};

static void watch(struct server *s, int how, int fd, uint32_t events, void *arg)
{
    struct epoll_event event = {.events = events, .data.ptr = arg};

    if (epoll_ctl(s->epoll, how, fd, &event) < 0)
        bench_fail("epoll: %s", strerror(errno));
}

/* ---- reading a request ---- */

static struct bytes header_value(struct bytes head, const char *name)
{
    size_t n = strlen(name);
    const char *line = head.p, *end = head.p + head.len, *line_end;

    for (; line < end && (line_end = memmem(line, (size_t)(end - line), "\r\n", 2));
         line = line_end + 2) {
        if ((size_t)(line_end - line) > n + 1 && line[n] == ':' &&
            strncasecmp(line, name, n) == 0) {
            const char *value = line + n + 1 + (line[n + 1] == ' ');

            return (struct bytes){value, (size_t)(line_end - value)};
        }
    }
    return (struct bytes){"", 0};
}

/* Bytes of the whole request, or 0 when there are more to come. */
static size_t read_request(struct request *ret, struct bytes in)
{
    const char *head_end = in.len ? memmem(in.p, in.len, "\r\n\r\n", 4) : NULL;
    const char *path, *path_end, *dot;
    struct bytes head, target;
    size_t length;

    if (!head_end)
        return 0;
    head = (struct bytes){in.p, (size_t)(head_end + 2 - in.p)};
    length = strtoul(header_value(head, "Content-Length").p, NULL, 10);
    if (in.len < head.len + 2 + length)
        return 0;
    path = memchr(head.p, ' ', head.len);
    path_end = path ? memchr(path + 1, ' ', (size_t)(head_end - path - 1)) : NULL;
    if (!path_end)
        bench_fail("no HTTP request: " BYTES_FMT, BYTES_ARG(head));
    target = header_value(head, "X-Amz-Target");
    dot = memchr(target.p, '.', target.len);
    *ret = (struct request){
        .path = {path + 1, (size_t)(path_end - path - 1)},
        .operation =
            dot ? (struct bytes){dot + 1, (size_t)(target.p + target.len - dot - 1)} : target,
        .body = {head_end + 4, length},
    };
    return head.len + 2 + length;
}

/* ---- answering ---- */

/* By the source's clock. */
static const char *date_line(struct server *s)
{
    time_t now = (time_t)(source_clock_ms(s->source, clock_mono_ms()) / 1000);
    struct tm utc;

    if (now != s->date_of) {
        s->date_of = now;
        strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    }
    return s->date;
}

static int answer(struct server *s, const struct request *request)
{
    buf_reset(&s->body);
    if (bytes_is(request->path, "/_stats")) {
        buf_char(&s->body, '{');
        calls_stats(&s->body);
        buf_char(&s->body, ',');
        source_stats(s->source, &s->body);
        buf_char(&s->body, '}');
    } else if (bytes_is(request->path, "/_reset")) {
        source_reset(s->source);
        calls_reset();
        buf_lit(&s->body, "{}");
    } else {
        return calls_answer(s->source, request->operation, request->body, &s->body);
    }
    return 200;
}

/* false: the connection is gone. */
static bool send_some(struct server *s, struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0) {
            watch(s, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT, c);
            return true;
        }
        c->sent += (size_t)n;
    }
    buf_reset(&c->out);
    c->sent = 0;
    return true;
}

static bool send_later(struct server *s, struct connection *c)
{
    if (!s->delay_ms)
        return send_some(s, c);
    c->due_ms = clock_mono_ms() + s->delay_ms;
    c->next = NULL;
    if (s->last_waiting)
        s->last_waiting->next = c;
    else
        s->first_waiting = c;
    s->last_waiting = c;
    return true;
}

static bool answer_request(struct server *s, struct connection *c,
                           const struct request *request)
{
    int status = answer(s, request);

    buf_printf(&c->out,
               "HTTP/1.1 %d X\r\nDate: %s\r\nContent-Type: application/x-amz-json-1.0\r\n"
               "Content-Length: %zu\r\n\r\n",
               status, date_line(s), s->body.len);
    buf_bytes(&c->out, buf_slice(&s->body));
    if (c->out.overflow)
        bench_fail("an answer is too large");
    return send_later(s, c);
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
    buf_release(&c->in);
    buf_release(&c->out);
    free(c);
}

/* One that waits is freed when its turn comes. */
static void connection_close(struct connection *c)
{
    close(c->fd);
    c->closed = true;
    if (!c->due_ms)
        connection_free(c);
}

/* A client has one request under way. */
static bool serve(struct server *s, struct connection *c)
{
    struct request request;
    ssize_t n;
    size_t taken;

    if (!buf_reserve(&c->in, READ_BYTES))
        return false;
    n = recv(c->fd, c->in.p + c->in.len, READ_BYTES, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in.len += (size_t)n;
    taken = read_request(&request, buf_slice(&c->in));
    if (!taken)
        return true;
    if (taken != c->in.len || c->out.len)
        return false;
    buf_reset(&c->in); /* its bytes stay until the next recv */
    return answer_request(s, c, &request);
}

static void accept_all(struct server *s)
{
    int fd, on = 1;

    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = xcalloc(1, sizeof(*c));

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        c->fd = fd;
        buf_init(&c->in, REQUEST_AT_MOST);
        buf_init(&c->out, ANSWER_AT_MOST);
        watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void on_event(struct server *s, const struct epoll_event *event)
{
    struct connection *c = event->data.ptr;
    bool there = true;

    if (!c) {
        accept_all(s);
        return;
    }
    if (event->events & EPOLLOUT) {
        watch(s, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
        there = send_some(s, c);
    }
    if (there && event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        there = serve(s, c);
    if (!there)
        connection_close(c);
}

/* Milliseconds until the next one; -1: none waits. */
static int send_what_is_due(struct server *s)
{
    struct connection *c;

    while ((c = s->first_waiting) && c->due_ms <= clock_mono_ms()) {
        s->first_waiting = c->next;
        if (!c->next)
            s->last_waiting = NULL;
        c->due_ms = 0;
        if (c->closed)
            connection_free(c);
        else if (!send_some(s, c))
            connection_close(c);
    }
    return c ? (int)(c->due_ms - clock_mono_ms()) : -1;
}

static void listen_anywhere(struct server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->listener < 0 || s->epoll < 0 ||
        bind(s->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(s->listener, SOMAXCONN) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) < 0)
        bench_fail("can't listen: %s", strerror(errno));
    watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN, NULL);
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static struct source_options read_options(int argc, char **argv)
{
#define NUMBER(name, otherwise) .name = bench_number(argc, argv, #name, otherwise)
    return (struct source_options){
        NUMBER(tables, "1"),  NUMBER(shards, "1"),       NUMBER(items, "3"),
        NUMBER(records, "0"), NUMBER(clock, "1"),        NUMBER(roll_s, "0"),
        NUMBER(spread, "0"),  NUMBER(list_ms, "300"),    NUMBER(describes, "10"),
        NUMBER(streams, "1"), NUMBER(knows_filter, "1"),
    };
#undef NUMBER
}

int main(int argc, char **argv)
{
    struct server s = {.delay_ms = bench_number(argc, argv, "delay_ms", "0")};
    struct source_options options = read_options(argc, argv);
    struct epoll_event events[EVENTS];
    int count;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    s.source = source_new(&options);
    buf_init(&s.body, ANSWER_AT_MOST);
    listen_anywhere(&s);
    for (;;) {
        count = epoll_wait(s.epoll, events, EVENTS, send_what_is_due(&s));
        for (int i = 0; i < count; i++)
            on_event(&s, &events[i]);
    }
}

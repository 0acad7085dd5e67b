/* common/dynamodb/http.c - libcurl behind http.h: the sum over the bytes as sent, unpacking and
 * the ceiling are ours, since libcurl would hide the packed bytes that the sum covers. */
#include "common/dynamodb/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <zlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/version.h"
#include "common/run/stop.h"

#define STOP_PATIENCE_MS 2000        /* a request that is nearly done may finish */
#define RECEIVE_BUFFER_BYTES 131072L /* a page has megabytes: fewer reads */
#define RESERVE_AT_MOST (8u << 20)   /* by the length that a server only claims */

struct http {
    CURL *curl;       /* NULL: there is none, as it seems for now */
    CURLcode refused; /* the first option that libcurl did not take */
    char reason[CURL_ERROR_SIZE];
};

/* One answer while it arrives. */
struct receiving {
    struct http_answer answer;
    bool want_gzip;
    bool packed;       /* the answer says gzip, and we asked for it */
    bool packed_ended; /* the end mark of the packed data was seen */
    z_stream z;
    bool z_open;
    size_t sent_bytes; /* as sent, maybe packed */
    uint32_t crc;
    uint32_t crc_expected;
    bool crc_bad_header;
    const char *refused; /* why we ended it ourselves */
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static atomic_llong stop_seen_ms; /* 0: no stop was seen yet */

static CURLcode global_code; /* set once */

static void global_init(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Has a stop been requested for so long that nothing more is waited for? */
static bool stop_is_old(void)
{
    long long none = 0, now = clock_mono_ms();

    if (!stop_requested()) {
        atomic_store(&stop_seen_ms, 0);
        return false;
    }
    if (atomic_compare_exchange_strong(&stop_seen_ms, &none, now))
        return false;
    return now - none > STOP_PATIENCE_MS;
}

struct http *http_new(void)
{
    CHECK(pthread_once(&global_once, global_init) == 0);
    return xcalloc(1, sizeof(struct http));
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    free(h);
}

void http_answer_release(struct http_answer *answer)
{
    buf_release(&answer->body);
}

static void receiving_release(struct receiving *receiving)
{
    if (receiving->z_open)
        inflateEnd(&receiving->z);
    receiving->z_open = false;
    http_answer_release(&receiving->answer);
}

/* ---- headers ---- */

/* Is the line this header? *ret is its value. */
static bool header_value(struct bytes line, const char *name, struct bytes *ret)
{
    size_t n = strlen(name);

    if (line.len <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *ret = (struct bytes){line.p + n + 1, line.len - n - 1};
    while (ret->len && strchr(" \t", ret->p[0]))
        *ret = (struct bytes){ret->p + 1, ret->len - 1};
    while (ret->len && strchr(" \t\r\n", ret->p[ret->len - 1]))
        ret->len--;
    return true;
}

static void copy_text(char *out, size_t size, struct bytes value)
{
    snprintf(out, size, BYTES_FMT, BYTES_ARG(value));
}

static void read_crc_header(struct receiving *receiving, struct bytes value)
{
    uint64_t sum = 0;

    receiving->answer.has_crc32 = true;
    receiving->crc_bad_header = value.len == 0 || value.len > 10;
    for (size_t i = 0; i < value.len && !receiving->crc_bad_header; i++) {
        receiving->crc_bad_header = value.p[i] < '0' || value.p[i] > '9';
        sum = sum * 10 + (uint64_t)(value.p[i] - '0');
    }
    receiving->crc_bad_header = receiving->crc_bad_header || sum > UINT32_MAX;
    receiving->crc_expected = (uint32_t)sum;
}

static void read_encoding_header(struct receiving *receiving, struct bytes value)
{
    if (value.len == 4 && strncasecmp(value.p, "gzip", 4) == 0 && receiving->want_gzip)
        receiving->packed = true;
    else if (!(value.len == 8 && strncasecmp(value.p, "identity", 8) == 0))
        receiving->refused = "the answer has an encoding that was not asked for";
}

static void reserve_by_length(struct receiving *receiving, struct bytes value)
{
    char text[24];
    unsigned long long n;

    copy_text(text, sizeof(text), value);
    n = strtoull(text, NULL, 10);
    if (n > 0 && n <= MIN(receiving->answer.body.ceiling, RESERVE_AT_MOST))
        buf_reserve(&receiving->answer.body, (size_t)n);
}

/* A later answer's headers (after 100 Continue) start anew. */
static void begin_headers(struct receiving *receiving)
{
    receiving->packed = receiving->answer.has_crc32 = receiving->crc_bad_header = false;
    receiving->answer.date[0] = receiving->answer.request_id[0] = '\0';
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct receiving *receiving = arg;
    struct bytes line = {p, size * n}, value;

    if (line.len >= 5 && memcmp(line.p, "HTTP/", 5) == 0)
        begin_headers(receiving);
    else if (header_value(line, "x-amz-crc32", &value))
        read_crc_header(receiving, value);
    else if (header_value(line, "content-encoding", &value))
        read_encoding_header(receiving, value);
    else if (header_value(line, "content-length", &value))
        reserve_by_length(receiving, value);
    else if (header_value(line, "date", &value))
        copy_text(receiving->answer.date, sizeof(receiving->answer.date), value);
    else if (header_value(line, "x-amzn-requestid", &value))
        copy_text(receiving->answer.request_id, sizeof(receiving->answer.request_id), value);
    return receiving->refused ? 0 : line.len;
}

/* ---- body ---- */

/* Unpacks into the room that is there. */
static void unpack_some(struct receiving *receiving)
{
    struct buf *body = &receiving->answer.body;
    int rc;

    if (body->len == body->cap && !buf_reserve(body, 1)) {
        receiving->refused = "the answer is too large once unpacked";
        return;
    }
    receiving->z.next_out = (Bytef *)body->p + body->len;
    receiving->z.avail_out = (uInt)MIN(body->cap - body->len, (size_t)1 << 30);
    rc = inflate(&receiving->z, Z_NO_FLUSH);
    body->len = (size_t)((char *)receiving->z.next_out - body->p);
    receiving->packed_ended = rc == Z_STREAM_END;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        receiving->refused = "the answer's gzip data is damaged";
}

static void unpack(struct receiving *receiving, char *p, size_t n)
{
    if (!receiving->z_open) {
        CHECK(inflateInit2(&receiving->z, 16 + MAX_WBITS) == Z_OK);
        receiving->z_open = true;
    }
    receiving->z.next_in = (Bytef *)p;
    receiving->z.avail_in = (uInt)n;
    while (!receiving->refused && !receiving->packed_ended &&
           (receiving->z.avail_in > 0 || receiving->z.avail_out == 0))
        unpack_some(receiving);
    if (!receiving->refused && receiving->z.avail_in > 0)
        receiving->refused = "the answer goes on after the end of its gzip data";
}

static void keep(struct receiving *receiving, char *p, size_t n)
{
    buf_append(&receiving->answer.body, p, n);
    if (receiving->answer.body.overflow)
        receiving->refused = "the answer is too large";
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct receiving *receiving = arg;
    size_t len = size * n;

    receiving->sent_bytes += len;
    receiving->crc = (uint32_t)crc32(receiving->crc, (Bytef *)p, (uInt)len);
    if (receiving->sent_bytes > receiving->answer.body.ceiling)
        receiving->refused = "the answer is too large";
    else if (receiving->packed)
        unpack(receiving, p, len);
    else
        keep(receiving, p, len);
    return receiving->refused ? 0 : len;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    struct receiving *receiving = arg;

    (void)down_all, (void)down, (void)up_all, (void)up;
    if (stop_is_old())
        receiving->refused = "the request was ended, since the program stops";
    return receiving->refused ? 1 : 0;
}

/* ---- the request ---- */

static struct curl_slist *header_list(const struct http_request *req)
{
    struct curl_slist *list = NULL;

    for (const struct http_header *header = req->headers; header && header->name; header++) {
        AUTO(free_charp) char *line = xasprintf("%s: %s", header->name, header->value);

        list = curl_slist_append(list, line);
        CHECK(list);
    }
    list = curl_slist_append(list, "Expect:"); /* no round trip before the body */
    CHECK(list);
    if (req->gzip) {
        list = curl_slist_append(list, "Accept-Encoding: gzip");
        CHECK(list);
    }
    return list;
}

static void slist_release(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* What libcurl does not take fails the request (a URL, say, comes from the user). */
#define SET(h, option, value)                                                                  \
    do {                                                                                       \
        CURLcode set_ = curl_easy_setopt((h)->curl, (option), (value));                        \
        if (set_ != CURLE_OK && (h)->refused == CURLE_OK)                                      \
            (h)->refused = set_;                                                               \
    } while (0)

/* What is refused and checked in every request. */
static void set_policy(struct http *h)
{
    AUTO(free_charp) char *user_agent = xasprintf("dynaferry/%s", version_number);

    SET(h, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(h, CURLOPT_FOLLOWLOCATION, 0L);
    SET(h, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(h, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(h, CURLOPT_NOSIGNAL, 1L);
    SET(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(h, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(h, CURLOPT_HTTP09_ALLOWED, 0L);
    (void)curl_easy_setopt(h->curl, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES); /* a wish */
    SET(h, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(h, CURLOPT_USERAGENT, user_agent);
}

static void set_callbacks(struct http *h, struct receiving *receiving)
{
    SET(h, CURLOPT_ERRORBUFFER, h->reason);
    SET(h, CURLOPT_HEADERFUNCTION, on_header);
    SET(h, CURLOPT_HEADERDATA, receiving);
    SET(h, CURLOPT_WRITEFUNCTION, on_body);
    SET(h, CURLOPT_WRITEDATA, receiving);
    SET(h, CURLOPT_NOPROGRESS, 0L);
    SET(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(h, CURLOPT_XFERINFODATA, receiving);
}

static void set_request(struct http *h, const struct http_request *req, struct curl_slist *list)
{
    SET(h, CURLOPT_URL, req->url);
    SET(h, CURLOPT_HTTPHEADER, list);
    SET(h, CURLOPT_CONNECTTIMEOUT_MS, (long)req->connect_timeout_ms);
    SET(h, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
    SET(h, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)req->max_answer_bytes);
    if (http_is_loopback(req->url))
        SET(h, CURLOPT_PROXY, ""); /* a proxy of the environment is not for this machine */
    if (strcmp(req->method, "GET") != 0) {
        SET(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
        SET(h, CURLOPT_POSTFIELDS, req->body.len ? req->body.p : "");
    }
    SET(h, CURLOPT_CUSTOMREQUEST, req->method);
}

static char *host_of(const char *url)
{
    const char *from = strstr(url, "://");

    from = from ? from + 3 : url;
    return xstrndup(from, strcspn(from, "/?#"));
}

bool http_is_loopback(const char *url)
{
    AUTO(free_charp) char *host = host_of(url);

    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           (strncasecmp(host, "localhost", 9) == 0 && strchr(":", host[9]));
}

/* Broken answers all are worth another try, an unreachable host too. */
static int refuse(const struct http_request *req, const char *reason, struct error *err)
{
    AUTO(free_charp) char *host = host_of(req->url);

    return error_set(err, ERR_RETRY, "%s: %s", host, reason);
}

static int refuse_transfer(const struct http *h, const struct http_request *req, CURLcode code,
                           const struct receiving *receiving, struct error *err)
{
    if (receiving->refused)
        return refuse(req, receiving->refused, err);
    if (code == CURLE_FILESIZE_EXCEEDED)
        return refuse(req, "the answer is too large by its Content-Length", err);
    return refuse(req, h->reason[0] ? h->reason : curl_easy_strerror(code), err);
}

/* The whole answer is there: is it what the server wanted to send? */
static int check_answer(const struct http_request *req, const struct receiving *receiving,
                        struct error *err)
{
    char reason[128];

    if (receiving->answer.has_crc32 &&
        (receiving->crc_bad_header || receiving->crc != receiving->crc_expected)) {
        snprintf(reason, sizeof(reason), "the answer's x-amz-crc32 is wrong (%zu bytes came)",
                 receiving->sent_bytes);
        return refuse(req, reason, err);
    }
    if (receiving->packed && !receiving->packed_ended && receiving->sent_bytes > 0)
        return refuse(req, "the answer's gzip data was cut", err);
    return 0;
}

/* A handle whose transfer failed is not used again: libcurl 7.88 keeps things of a name that
 * did not resolve, and refuses options from then on. */
static void drop_handle(struct http *h)
{
    curl_easy_cleanup(h->curl);
    h->curl = NULL;
}

static CURLcode open_handle(struct http *h)
{
    if (global_code != CURLE_OK)
        return global_code;
    if (!h->curl)
        h->curl = curl_easy_init();
    return h->curl ? CURLE_OK : CURLE_FAILED_INIT;
}

static CURLcode perform(struct http *h, const struct http_request *req,
                        struct receiving *receiving)
{
    AUTO(slist_release) struct curl_slist *list = header_list(req);
    CURLcode code;

    h->reason[0] = '\0';
    code = open_handle(h);
    if (code != CURLE_OK)
        return code;
    curl_easy_reset(h->curl); /* options only: the connection is kept */
    h->refused = CURLE_OK;
    set_policy(h);
    set_callbacks(h, receiving);
    set_request(h, req, list);
    code = h->refused == CURLE_OK ? curl_easy_perform(h->curl) : h->refused;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &receiving->answer.status);
    if (code == CURLE_OK)
        curl_easy_reset(h->curl); /* list and r are gone after this */
    else
        drop_handle(h);
    return code;
}

int http_do(struct http *h, const struct http_request *req, struct http_answer *ret,
            struct error *err)
{
    AUTO(receiving_release) struct receiving receiving = {.want_gzip = req->gzip};
    CURLcode code;

    buf_init(&receiving.answer.body, req->max_answer_bytes);
    code = perform(h, req, &receiving);
    if (code != CURLE_OK)
        return refuse_transfer(h, req, code, &receiving, err);
    if (check_answer(req, &receiving, err) < 0)
        return -1;
    *ret = receiving.answer;
    receiving.answer = (struct http_answer){0};
    return 0;
}

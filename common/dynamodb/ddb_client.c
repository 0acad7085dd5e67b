#include "common/dynamodb/ddb_client.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/dynamodb/aws_sigv4.h"

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 60000
#define ITEMS_AT_MOST ((size_t)64 << 20) /* a page of 1 MB of items was 8.6 MB of JSON */
#define OTHERS_AT_MOST ((size_t)4 << 20)
#define CONTENT_TYPE "application/x-amz-json-1.0"

struct ddb_client {
    struct ddb_source *source;
    struct http *https[2]; /* by enum ddb_service: two hosts, so two connections are kept */
    enum ddb_error error;
};

struct ddb_client *ddb_client_new(struct ddb_source *s)
{
    struct ddb_client *c = xcalloc(1, sizeof(*c));

    c->source = s;
    return c;
}

void ddb_client_free(struct ddb_client *c)
{
    if (!c)
        return;
    http_free(c->https[DDB_TABLES]);
    http_free(c->https[DDB_STREAMS]);
    free(c);
}

enum ddb_error ddb_client_error(const struct ddb_client *c)
{
    return c->error;
}

int ddb_client_broken(struct ddb_client *c, const char *operation, struct error *err)
{
    c->error = DDB_BROKEN;
    err->kind = ERR_RETRY;
    return error_prefix(err, "%s", operation);
}

/* ---- one request ---- */

/* What one try sends besides the body. */
struct attempt {
    const struct ddb_endpoint *endpoint;
    struct aws_keys keys;
    char date[AWS_SIGV4_DATE_SIZE];
    char *target;
    struct buf authorization;
};

static void attempt_release(struct attempt *a)
{
    OPENSSL_cleanse(&a->keys, sizeof(a->keys));
    free_charp(&a->target);
    buf_release(&a->authorization);
}

static void sign(struct attempt *a, const struct ddb_source *s, struct bytes body)
{
    const struct aws_sigv4_header headers[] = {
        {BYTES_LIT("content-type"), BYTES_LIT(CONTENT_TYPE)},
        {BYTES_LIT("host"), bytes_of(a->endpoint->host)},
        {BYTES_LIT("x-amz-date"), bytes_of(a->date)},
        {BYTES_LIT("x-amz-security-token"), bytes_of(a->keys.session_token)},
        {BYTES_LIT("x-amz-target"), bytes_of(a->target)},
    };
    struct aws_sigv4_header sent[ARRAY_LEN(headers)];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if (headers[i].value.len > 0) /* there may be no token */
            sent[n++] = headers[i];
    aws_sigv4_authorization(&a->authorization,
                            &(struct aws_sigv4_request){.method = "POST",
                                                        .path = BYTES_LIT("/"),
                                                        .headers = sent,
                                                        .header_count = n,
                                                        .body = body,
                                                        .region = s->region,
                                                        .service = "dynamodb",
                                                        .amz_date = a->date},
                            &a->keys);
}

static int prepare(struct attempt *a, struct ddb_client *c, enum ddb_service service,
                   const char *operation, struct bytes body, struct error *err)
{
    struct ddb_source *s = c->source;

    a->endpoint = &s->endpoints[service];
    if (aws_credentials_get(s->credentials, &a->keys, err) < 0)
        return -1;
    aws_sigv4_date(a->date, clock_wall_ms() + ddb_source_skew_ms(s));
    a->target = xasprintf("%s_20120810.%s",
                          service == DDB_STREAMS ? "DynamoDBStreams" : "DynamoDB", operation);
    buf_init(&a->authorization, 8192);
    sign(a, s, body);
    return 0;
}

static bool gives_items(const char *operation)
{
    return strcmp(operation, "Scan") == 0 || strcmp(operation, "GetRecords") == 0 ||
           strcmp(operation, "BatchGetItem") == 0;
}

static int send_attempt(struct ddb_client *c, enum ddb_service service, struct attempt *a,
                        const char *operation, struct bytes body, struct http_answer *ret,
                        struct error *err)
{
    const struct http_header headers[] = {
        {"Host", a->endpoint->host},
        {"Content-Type", CONTENT_TYPE},
        {"X-Amz-Date", a->date},
        {"X-Amz-Target", a->target},
        {"Authorization", buf_cstr(&a->authorization)},
        {a->keys.session_token[0] ? "X-Amz-Security-Token" : NULL, a->keys.session_token},
        {NULL, NULL},
    };

    if (!c->https[service])
        c->https[service] = http_new();
    return http_do(c->https[service],
                   &(struct http_request){.method = "POST",
                                          .url = a->endpoint->url,
                                          .headers = headers,
                                          .body = body,
                                          .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                          .timeout_ms = TIMEOUT_MS,
                                          .max_answer_bytes = gives_items(operation)
                                                                  ? ITEMS_AT_MOST
                                                                  : OTHERS_AT_MOST,
                                          .gzip = c->source->gzip[service]},
                   ret, err);
}

/* Any complete answer, whatever its status. */
static int try_once(struct ddb_client *c, enum ddb_service service, const char *operation,
                    struct bytes body, struct http_answer *ret, struct error *err)
{
    AUTO(attempt_release) struct attempt a = {0};

    if (prepare(&a, c, service, operation, body, err) < 0) {
        c->error = DDB_DENIED;
        return -1;
    }
    if (send_attempt(c, service, &a, operation, body, ret, err) < 0)
        return ddb_client_broken(c, operation, err);
    return 0;
}

/* A page of a proxy on the way has a Date too, of another clock. */
static bool is_the_services(const struct http_answer *answer)
{
    return answer->status == 200 || answer->request_id[0];
}

/* 0: the answer is in ret. 1: refused for the clock, which is right now. */
static int call_once(struct ddb_client *c, enum ddb_service service, const char *operation,
                     struct bytes body, struct http_answer *ret, struct error *err)
{
    AUTO(http_answer_release) struct http_answer answer = {0};
    int64_t asked_ms = clock_mono_ms();
    struct ddb_error_answer refusal = {0};
    bool timed;

    if (try_once(c, service, operation, body, &answer, err) < 0)
        return -1;
    if (answer.status != 200)
        refusal = ddb_error_read(answer.status, buf_slice(&answer.body), operation, err);
    timed = (is_the_services(&answer) || refusal.clock) &&
            ddb_source_take_time(c->source, answer.date, asked_ms);
    c->error = refusal.error;
    if (answer.status != 200)
        return refusal.clock && timed ? 1 : -1;
    *ret = answer;
    answer = (struct http_answer){0};
    return 0;
}

int ddb_client_call(struct ddb_client *c, enum ddb_service service, const char *operation,
                    struct bytes body, struct http_answer *ret, struct error *err)
{
    int rc = call_once(c, service, operation, body, ret, err);

    if (rc == 1)
        rc = call_once(c, service, operation, body, ret, err);
    return rc == 0 ? 0 : -1;
}

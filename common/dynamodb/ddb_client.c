/* common/dynamodb/ddb_client.c - a signed POST a call, its answer checked and its refusals
 * sorted. */
#include "common/dynamodb/ddb_client.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/mutation.h"
#include "common/dynamodb/aws_sigv4.h"
#include "common/dynamodb/ddb_error.h"

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 60000
#define ITEMS_AT_MOST ((size_t)64 << 20) /* a page of 1 MB of items was 8.6 MB of JSON */
#define OTHERS_AT_MOST ((size_t)4 << 20)
#define CONTENT_TYPE "application/x-amz-json-1.0"
#define SKEW_LARGE_MS 300000 /* it is told; the service refuses signatures of 15 minutes */
#define SKEW_GONE_MS 240000
#define LATEST_S                                                                               \
    7258118400 /* 2200: a time that can be signed, and a clock that can be meant               \
                */

struct ddb_source {
    /* set once */
    struct aws_credentials *credentials;
    char *region;
    struct ddb_endpoint endpoints[2]; /* by enum ddb_service */
    bool gzip[2];
    /* any thread */
    atomic_llong skew_ms; /* the service's clock minus ours */
    atomic_bool skew_told;
};

struct ddb_client {
    struct ddb_source *source;
    struct http *https[2]; /* by enum ddb_service: two hosts, so two connections are kept */
    enum ddb_error error;
};

/* ---- the source ---- */

/* An emulator on this machine takes any region; Amazon's endpoints must be signed for theirs.
 */
static int find_region(struct ddb_source *s, const struct config *c, struct error *err)
{
    if (aws_credentials_region(&s->region, c, err) < 0)
        return -1;
    for (int service = DDB_TABLES; service <= DDB_STREAMS; service++)
        if (ddb_endpoint_find(&s->endpoints[service], service,
                              config_string(c, "source.endpoint_url"), s->region, err) < 0)
            return -1;
    if (!s->region && !http_is_loopback(s->endpoints[DDB_TABLES].url))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "no region to sign for: set source.region or AWS_REGION");
    if (!s->region)
        s->region = xstrdup("us-east-1");
    return 0;
}

static void choose_gzip(struct ddb_source *s, const char *setting)
{
    for (int service = DDB_TABLES; service <= DDB_STREAMS; service++)
        s->gzip[service] =
            strcmp(setting, "on") == 0 ||
            (strcmp(setting, "auto") == 0 && !http_is_loopback(s->endpoints[service].url));
}

int ddb_source_new(struct ddb_source **ret, const struct config *c, struct error *err)
{
    AUTO(ddb_source_freep) struct ddb_source *s = xcalloc(1, sizeof(*s));

    if (!aws_sigv4_works())
        return error_fatal(err, EXIT_CONFIGURATION,
                           "OpenSSL has no SHA-256 to sign with (see its openssl.cnf)");
    if (find_region(s, c, err) < 0 || aws_credentials_new(&s->credentials, c, err) < 0)
        return -1;
    choose_gzip(s, config_string(c, "source.gzip"));
    *ret = TAKE(s);
    return 0;
}

void ddb_source_free(struct ddb_source *s)
{
    if (!s)
        return;
    aws_credentials_free(s->credentials);
    ddb_endpoint_release(&s->endpoints[DDB_TABLES]);
    ddb_endpoint_release(&s->endpoints[DDB_STREAMS]);
    free(s->region);
    free(s);
}

int64_t ddb_source_skew_ms(const struct ddb_source *s)
{
    return atomic_load(&s->skew_ms);
}

int64_t ddb_source_now_ms(const struct ddb_source *s)
{
    return clock_wall_ms() + (MUTATED(service_time) ? 0 : ddb_source_skew_ms(s));
}

enum ddb_source_skew_news ddb_source_skew_news(struct ddb_source *s, int64_t *ret_skew_ms)
{
    int64_t skew = ddb_source_skew_ms(s), size = skew < 0 ? -skew : skew;
    bool told = size > SKEW_GONE_MS;

    *ret_skew_ms = skew;
    if (size <= SKEW_LARGE_MS && told) /* between the two nothing is news */
        return DDB_SKEW_SAME;
    if (atomic_exchange(&s->skew_told, told) == told)
        return DDB_SKEW_SAME;
    return told ? DDB_SKEW_LARGE : DDB_SKEW_GONE;
}

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

int64_t ddb_error_retry_ms(enum ddb_error kind, unsigned *tries)
{
    struct backoff b;

    backoff_init(&b, kind == DDB_THROTTLED ? 200 : 50, 60000, NULL, NULL);
    b.tries = (*tries)++;
    return backoff_next_ms(&b);
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

/* ---- the service's time ---- */

/* Date tells the second in which the answer was made, some time between the request and now.
 * So it allows a range of skews: one inside stays as it is, and seconds, slow answers and
 * answers that overtake each other move nothing; one outside goes to the range's nearer end. */
int64_t ddb_source_skew_by_answer(int64_t skew_ms, int64_t date_ms, int64_t asked_ms,
                                  int64_t answered_ms)
{
    int64_t least = date_ms - answered_ms, most = date_ms + 999 - asked_ms;

    return skew_ms < least ? least : skew_ms > most ? most : skew_ms;
}

/* How long the request took is measured by a clock that nobody sets. False: the answer tells no
 * time. */
static bool take_services_time(struct ddb_source *s, const char *date, int64_t asked_mono_ms)
{
    time_t service = date[0] ? curl_getdate(date, NULL) : -1;
    int64_t now = clock_wall_ms(), asked = now - (clock_mono_ms() - asked_mono_ms);
    long long skew = atomic_load(&s->skew_ms);

    if (service < 0 || service > LATEST_S)
        return false;
    while (!atomic_compare_exchange_weak(
        &s->skew_ms, &skew,
        ddb_source_skew_by_answer(skew, (int64_t)service * 1000, asked, now)))
        ;
    return true;
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
            take_services_time(c->source, answer.date, asked_ms);
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

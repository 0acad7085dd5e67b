/* common/dynamodb/ddb_client.h - signed calls to DynamoDB and DynamoDB Streams.
 *
 * struct ddb_source is shared and read-only but for the clock skew (atomic); struct ddb_client
 * is one connection of one thread. A call is one request: retrying, and a new barrier ticket
 * for each try, are the caller's, since only it knows what a retry means; ddb_error_kind and
 * the backoff help it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/dynamodb/aws_credentials.h"
#include "common/dynamodb/ddb_endpoint.h"
#include "common/dynamodb/http.h"

/* What the service said no with; the others are DDB_OTHER. */
enum ddb_error {
    DDB_OK,
    DDB_BROKEN,    /* no whole answer: cut, timeout, wrong crc, 5xx, or not the JSON that it
                      should be: retry */
    DDB_THROTTLED, /* retry, slower; err holds the ThrottlingReasons, if any */
    DDB_NOT_FOUND, /* ResourceNotFoundException */
    DDB_IN_USE,    /* ResourceInUseException */
    DDB_EXPIRED_ITERATOR,
    DDB_TRIMMED, /* TrimmedDataAccessException */
    DDB_DENIED,  /* AccessDenied, UnrecognizedClient, InvalidSignature, ExpiredToken...: err is
                    ERR_FATAL, 77 */
    DDB_OTHER,   /* ValidationException and the like: err is ERR_FATAL, 1 */
};

struct ddb_source;
struct ddb_client;

/* ERR_FATAL, 78 for a region or an endpoint that is missing or can't be used. */
int ddb_source_new(struct ddb_source **ret, const struct config *c, struct error *err);
void ddb_source_free(struct ddb_source *s);
DEFINE_FREEP(struct ddb_source, ddb_source_freep, ddb_source_free)
/* The service's time, by the Date of its answers, refusals too; ours before the first one. What
 * a position's age is measured with. It is within a second and the time of a request of the
 * service's, and jumps only as far as an answer contradicts it. Any thread. */
int64_t ddb_source_now_ms(const struct ddb_source *s);
int64_t ddb_source_skew_ms(const struct ddb_source *s); /* the service's clock minus ours */
/* For the loop that logs: LARGE when the skew has grown over 5 minutes, once, until it is GONE
 * again. */
enum ddb_source_skew_news {
    DDB_SKEW_SAME,
    DDB_SKEW_LARGE,
    DDB_SKEW_GONE
};
enum ddb_source_skew_news ddb_source_skew_news(struct ddb_source *s, int64_t *ret_skew_ms);
/* The skew after an answer with this Date to a request of then, answered now. Pure. */
int64_t ddb_source_skew_by_answer(int64_t skew_ms, int64_t date_ms, int64_t asked_ms,
                                  int64_t answered_ms);
struct ddb_client *ddb_client_new(struct ddb_source *s); /* s must live longer */
void ddb_client_free(struct ddb_client *c);
DEFINE_FREEP(struct ddb_client, ddb_client_freep, ddb_client_free)

/* operation: "Scan", "GetRecords", ... On success ret->body is the answer (status 200), owned
 * by the caller (http_answer_release). On failure returns -1, err says it in words with
 * operation, and the result of ddb_client_error(c) says it in kind: err->kind is ERR_RETRY for
 * BROKEN, THROTTLED and IN_USE, ERR_DATA for NOT_FOUND, EXPIRED_ITERATOR and TRIMMED, ERR_FATAL
 * for the rest. A signature refused for the clock is tried once more with the service's time,
 * inside. */
int ddb_client_call(struct ddb_client *c, enum ddb_service service, const char *operation,
                    struct bytes body, struct http_answer *ret, struct error *err);
enum ddb_error ddb_client_error(const struct ddb_client *c);
/* How long to wait before the request is sent again; longer with each of *tries, which it
 * counts. */
int64_t ddb_error_retry_ms(enum ddb_error kind, unsigned *tries);
/* For readers of answers: a whole answer that is not what it should be. DDB_BROKEN, ERR_RETRY.
 * Returns -1. */
int ddb_client_broken(struct ddb_client *c, const char *operation, struct error *err);

/* common/dynamodb/ddb_client.h - signed calls to DynamoDB and DynamoDB Streams.
 *
 * A struct ddb_client is the connections of one thread. A call is one request: retrying, and a
 * new barrier ticket for each try, are the caller's, since only it knows what a retry means;
 * ddb_client_error and ddb_error_retry_ms help it. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/dynamodb/ddb_error.h"
#include "common/dynamodb/ddb_source.h"
#include "common/dynamodb/http.h"

/* Of a request's body: 100 keys of 3 KB, each byte escaped, are 2 MB. */
#define DDB_CLIENT_REQUEST_AT_MOST ((size_t)4 << 20)

struct ddb_client;

/* source must live longer. */
struct ddb_client *ddb_client_new(struct ddb_source *source);
void ddb_client_free(struct ddb_client *client);
DEFINE_FREEP(struct ddb_client, ddb_client_freep, ddb_client_free)

/* operation: "Scan", "GetRecords", ... On success ret->body is the answer (status 200), owned
 * by the caller (http_answer_release). On failure returns -1, err says it in words with
 * operation, and the result of ddb_client_error says it in kind: err->kind is ERR_RETRY for
 * BROKEN, THROTTLED and IN_USE, ERR_DATA for NOT_FOUND, EXPIRED_ITERATOR and TRIMMED, ERR_FATAL
 * for the rest. A signature refused for the clock is tried once more with the service's time,
 * inside. */
int ddb_client_call(struct ddb_client *client, enum ddb_service service, const char *operation,
                    struct bytes body, struct http_answer *ret, struct error *err);
enum ddb_error ddb_client_error(const struct ddb_client *client);
/* For readers of answers: a whole answer that is not what it should be. DDB_BROKEN, ERR_RETRY.
 * Returns -1. */
int ddb_client_broken(struct ddb_client *client, const char *operation, struct error *err);

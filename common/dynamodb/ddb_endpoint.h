/* common/dynamodb/ddb_endpoint.h - where DynamoDB and DynamoDB Streams are.
 *
 * The first of: source.endpoint_url (for both), AWS_ENDPOINT_URL_DYNAMODB or
 * AWS_ENDPOINT_URL_DYNAMODB_STREAMS, AWS_ENDPOINT_URL (for both), the region's own. Where one
 * URL serves both and names Amazon's DynamoDB, Streams get the host that Amazon runs them on,
 * since the other one does not know them. */
#pragma once

#include "common/base/error.h"

enum ddb_service {
    DDB_TABLES,
    DDB_STREAMS
};

struct ddb_endpoint {
    char *url;  /* scheme://host[:port]/ */
    char *host; /* as the Host header has it: without the scheme's own port */
};

/* given: source.endpoint_url, or "". region: NULL when there is none. ERR_FATAL, exit 78. */
int ddb_endpoint_find(struct ddb_endpoint *ret, enum ddb_service service, const char *given,
                      const char *region, struct error *err);
void ddb_endpoint_release(struct ddb_endpoint *e);

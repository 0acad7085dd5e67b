/* common/dynamodb/ddb_error.h - what an answer that is not 200 means.
 *
 * Pure. The service's own words reach the error but for what could repeat a credential. */
#pragma once

#include "common/dynamodb/ddb_client.h"

struct ddb_error_answer {
    enum ddb_error error;
    bool clock; /* the signature was refused for its time alone */
};

/* status and body of an answer other than 200; err gets operation, name, words and reasons, and
 * the kind that ddb_client.h promises. */
struct ddb_error_answer ddb_error_read(long status, struct bytes body, const char *operation,
                                       struct error *err);
/* The kind of struct error that goes with it. */
enum error_kind ddb_error_kind(enum ddb_error e);

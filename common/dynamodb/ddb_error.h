/* common/dynamodb/ddb_error.h - what an answer that is not 200 means.
 *
 * Pure. The service's own words reach the error but for what could repeat a credential. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/error.h"

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

struct ddb_error_answer {
    enum ddb_error error;
    bool clock; /* the signature was refused for its time alone */
};

/* status and body of an answer other than 200; err gets operation, name, words and reasons, and
 * the kind that ddb_error_kind gives. */
struct ddb_error_answer ddb_error_read(long status, struct bytes body, const char *operation,
                                       struct error *err);
/* The kind of struct error that goes with it. */
enum error_kind ddb_error_kind(enum ddb_error e);
/* How long to wait before the request is sent again; longer with each of *tries, which it
 * counts. */
int64_t ddb_error_retry_ms(enum ddb_error kind, unsigned *tries);

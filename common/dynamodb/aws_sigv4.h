/* common/dynamodb/aws_sigv4.h - AWS Signature Version 4, by OpenSSL, checked against AWS's
 * published vectors. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/dynamodb/aws_credentials.h"

struct aws_sigv4_header {
    struct bytes name;  /* lower case */
    struct bytes value; /* outer spaces are not signed, inner runs count as one */
};

struct aws_sigv4_request {
    const char *method;
    struct bytes path;                      /* as sent, already encoded; "/" at least */
    struct bytes query;                     /* canonical form; may be empty */
    const struct aws_sigv4_header *headers; /* all that are signed, each name once, sorted by
                                           it; host and x-amz-date too */
    size_t header_count;
    struct bytes body;
    const char *region;
    const char *service;
    const char *amz_date; /* 20150830T123600Z */
};

/* Does this machine's OpenSSL have what signing takes? Its configuration may have left it out.
 * To be asked before the others. */
bool aws_sigv4_works(void);
/* Appends the value of the Authorization header. */
void aws_sigv4_authorization(struct buf *out, const struct aws_sigv4_request *request,
                             const struct aws_keys *keys);
/* "20150830T123600Z" of a time in ms (a year of four digits); out holds AWS_SIGV4_DATE_SIZE
 * bytes.
 */
#define AWS_SIGV4_DATE_SIZE 17
void aws_sigv4_date(char *out, int64_t wall_ms);

/* common/dynamodb/http.h - one HTTP request at a time on a kept connection (libcurl).
 *
 * A struct http is of one thread. Answers have a ceiling; TLS is verified; redirects are not
 * followed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/error.h"

struct http;

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const struct http_header *headers; /* ends with name NULL */
    struct bytes body;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;      /* of the whole request */
    size_t max_answer_bytes; /* a longer answer is ERR_RETRY with "too large"; packed or not */
    bool gzip;               /* accept gzip; the answer is unpacked, under the same ceiling */
};

struct http_answer {
    long status;
    struct buf body;     /* unpacked */
    bool has_crc32;      /* x-amz-crc32 was there: it has been checked over the bytes as sent */
    char date[64];       /* the Date header, or "" */
    char request_id[96]; /* x-amzn-RequestId, or "" */
};

struct http *http_new(void);
void http_free(struct http *h);
DEFINE_FREEP(struct http, http_freep, http_free)
/* Is the URL's host this machine (127.*, [::1], localhost)? */
bool http_is_loopback(const char *url);
/* 0 for any complete answer, whatever its status; ERR_RETRY for a broken one (cut, timeout,
 * wrong crc, too large, can't connect), naming host and reason. A stop requested more than two
 * seconds ago ends it early with ERR_RETRY. libcurl sends a request again by itself when a kept
 * connection turns out to be closed before any byte of the answer. */
int http_do(struct http *h, const struct http_request *req, struct http_answer *ret,
            struct error *err);
void http_answer_release(struct http_answer *answer);

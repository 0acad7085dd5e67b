/* tests/component/support_http_server.h - a scripted HTTP server on loopback: it answers
 * request after request with what the test wrote down, also with broken answers.
 *
 * One connection at a time, in a thread of its own. The script is written before the request
 * that uses it; requests are looked at after it was answered. */
#pragma once

#include "common/base/bytes.h"

struct http_server;

struct reply {
    size_t send_at_most; /* the connection is closed after so many bytes */
    int delay_ms;        /* before the first byte */
    int drip_ms;         /* pause after every 16 bytes */
    bool then_close;     /* close after a whole answer without having said so */
};

struct http_server *http_server_start(void);
void http_server_stop(struct http_server *s);
DEFINE_FREEP(struct http_server, http_server_stopp, http_server_stop)
const char *http_server_url(const struct http_server *s); /* http://127.0.0.1:PORT */

/* Appends to the script. headers: "Name: value\r\n..." or "". Content-Length is added. The
 * result may be changed until the next request. */
struct reply *http_server_reply(struct http_server *s, int status, const char *headers,
                                struct bytes body);
struct reply *http_server_reply_raw(struct http_server *s, struct bytes wire);

size_t http_server_requests(struct http_server *s);
size_t http_server_connections(struct http_server *s);
/* The whole request (head and body) as text, valid until the server stops. */
const char *http_server_request(struct http_server *s, size_t i);

/* Appends data as gzip packs it. */
void gzip_pack(struct buf *out, struct bytes data);

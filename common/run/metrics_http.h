/* common/run/metrics_http.h - serves /metrics, /healthz and /readyz (libmicrohttpd, one
 * thread). */
#pragma once

#include "common/base/error.h"
#include "common/config/config.h"

struct metrics_http;

/* http.port 0: no server, *ret NULL. http.listen is the address (127.0.0.1 by default). */
int metrics_http_start(struct metrics_http **ret, const struct config *c, struct error *err);
void metrics_http_stop(struct metrics_http *server);

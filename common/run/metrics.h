/* common/run/metrics.h - counters and gauges for Prometheus, registered once, changed from any
 * thread.
 *
 * metrics_http serves them with /healthz and /readyz on http.port, loopback by default. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE
};

enum {
    HEALTH_TEXT_BYTES = 300
};

struct metric; /* until its last metric_remove, else until the process ends */

/* name: "dynaferry_rows_total"; labels: "table=\"a\",shard=\"b\"" or "" (make with
 * metric_labels). The same name and labels give the same metric; each get is a reference. */
struct metric *metric_get(enum metric_type type, const char *name, const char *help,
                          const char *labels);
void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
int64_t metric_value(const struct metric *m);
/* Gives one reference back. With the last one the label set is gone: not printed any more, and
 * not to be used again (its memory serves another label set later). NULL is fine. */
void metric_remove(struct metric *m);
/* key, value, key, value ..., NULL: escaped as Prometheus wants. Caller frees. */
char *metric_labels(const char *key, ...);
void metrics_write(struct buf *out);

/* Health: named parts report that they progress; one that did not for its limit makes /healthz
 * 503 and is named in the body. Any thread may call. */
struct health;
struct health *health_get(const char *name, int64_t limit_ms); /* one for all of this name */
/* A part of its own, also beside another of that name: of one instance, whose successor may
 * begin before it has ended. */
struct health *health_new(const char *name, int64_t limit_ms);
/* What is shown behind a stuck part's name; copied, cut at HEALTH_TEXT_BYTES, "" for nothing.
 */
void health_say(struct health *h, const char *why);
/* What is shown of this part in any case, also while all is well; "" for nothing. */
void health_note(struct health *h, const char *text);
void health_alive(struct health *h);
void health_alive_at(struct health *h, int64_t mono_ms);   /* when it last was */
void health_set_limit(struct health *h, int64_t limit_ms); /* 0: stuck, until it is another */
void health_remove(struct health *h);                      /* NULL is fine */
void health_ready(bool is_ready);                          /* /readyz */
bool health_is_ready(void);                                /* never once a stop was requested */
bool health_write(struct buf *out);                        /* false: something is stuck */

/* common/run/health.h - what /healthz and /readyz say.
 *
 * Named parts report that they progress; one that did not for its limit makes /healthz 503 and
 * is named in the body. Any thread may call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"

enum {
    HEALTH_TEXT_BYTES = 300
};

struct health; /* until its health_remove, else until the process ends */

/* One for all of this name. */
struct health *health_get(const char *name, int64_t limit_ms);
/* A part of its own, also beside another of that name: of one instance, whose successor may
 * begin before it has ended. */
struct health *health_new(const char *name, int64_t limit_ms);
/* What is shown behind a stuck part's name; copied, cut at HEALTH_TEXT_BYTES, "" for nothing.
 */
void health_say(struct health *h, const char *why);
/* What is shown of this part in any case, also while all is well; "" for nothing. */
void health_note(struct health *h, const char *text);
void health_alive(struct health *h);
/* When it last was. */
void health_alive_at(struct health *h, int64_t mono_ms);
/* 0: stuck, until it is another. */
void health_set_limit(struct health *h, int64_t limit_ms);
/* NULL is fine. */
void health_remove(struct health *h);
/* /readyz. */
void health_ready(bool is_ready);
/* Never once a stop was requested. */
bool health_is_ready(void);
/* false: something is stuck. */
bool health_write(struct buf *out);

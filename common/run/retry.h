/* common/run/retry.h - how long one side may not answer in the midst of work that needs it.
 *
 * Of one request and its retries, of one thread. */
#pragma once

#include <stdbool.h>

#include "common/base/backoff.h"
#include "common/base/error.h"

struct retry {
    int64_t limit_ms;
    int64_t since_ms; /* the first failure of a row; monotonic, 0: none */
    struct backoff backoff;
};

void retry_init(struct retry *retry, int64_t limit_ms);
/* After a failure: waits a growing while and says whether to try again. false: it was no
 * failure that goes away (ERR_FATAL, ERR_DATA), it has not answered for too long (err says so),
 * or a stop was requested. throttled: it answers, and only wants less. */
bool retry_again(struct retry *retry, bool throttled, struct error *err);

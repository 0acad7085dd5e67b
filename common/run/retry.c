#include "common/run/retry.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define FIRST_MS 100
#define LONGEST_MS 10000

void retry_init(struct retry *r, int64_t limit_ms)
{
    *r = (struct retry){.limit_ms = limit_ms};
    backoff_init(&r->backoff, FIRST_MS, LONGEST_MS, NULL, NULL);
}

bool retry_again(struct retry *r, bool throttled, struct error *err)
{
    int64_t now = clock_mono_ms();
    bool first = !r->since_ms;

    if (err->kind != ERR_RETRY || stop_requested())
        return false;
    if (!r->since_ms || throttled)
        r->since_ms = now;
    if (now - r->since_ms >= r->limit_ms) {
        error_prefix(err, "for %" PRId64 " s", r->limit_ms / 1000);
        return false;
    }
    log_event(first ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "tried again", "reason=%s",
              err->message);
    return !stop_wait_ms(backoff_next_ms(&r->backoff));
}

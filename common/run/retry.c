#include "common/run/retry.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define FIRST_MS 100
#define LONGEST_MS 10000

void retry_init(struct retry *retry, int64_t limit_ms)
{
    *retry = (struct retry){.limit_ms = limit_ms};
    backoff_init(&retry->backoff, FIRST_MS, LONGEST_MS, NULL, NULL);
}

bool retry_again(struct retry *retry, bool throttled, struct error *err)
{
    int64_t now = clock_mono_ms();
    bool first = !retry->since_ms;

    if (err->kind != ERR_RETRY || stop_requested())
        return false;
    if (!retry->since_ms || throttled)
        retry->since_ms = now;
    if (now - retry->since_ms >= retry->limit_ms) {
        error_prefix(err, "for %" PRId64 " s", retry->limit_ms / 1000);
        return false;
    }
    log_event(first ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "tried again", "reason=%s",
              err->message);
    return !stop_wait_ms(backoff_next_ms(&retry->backoff));
}

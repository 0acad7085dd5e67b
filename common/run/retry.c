#include "common/run/retry.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define FIRST_MS 100
#define LONGEST_MS 10000

void retry_init(struct retry *p, int64_t limit_ms)
{
    *p = (struct retry){.limit_ms = limit_ms};
    backoff_init(&p->backoff, FIRST_MS, LONGEST_MS, NULL, NULL);
}

bool retry_again(struct retry *p, bool throttled, struct error *err)
{
    int64_t now = clock_mono_ms();
    bool first = !p->since_ms;

    if (err->kind != ERR_RETRY || stop_requested())
        return false;
    if (!p->since_ms || throttled)
        p->since_ms = now;
    if (now - p->since_ms >= p->limit_ms) {
        error_prefix(err, "for %" PRId64 " s", p->limit_ms / 1000);
        return false;
    }
    log_event(first ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "tried again", "reason=%s",
              err->message);
    return !stop_wait_ms(backoff_next_ms(&p->backoff));
}

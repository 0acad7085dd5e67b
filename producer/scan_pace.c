#include "producer/scan_pace.h"

#include "common/base/bytes.h"

#define UNIT_BYTES 4096              /* of one strongly consistent read */
#define PAGE_BYTES_AT_MOST (1 << 20) /* of items, as the service counts them */
#define MILLI_AT_MOST 1000000000     /* of a service that tells nonsense */
#define FIRST_PAGE_MS 100            /* until the first page's cost is known there is one */
#define COME_AGAIN_MS 1000
#define SLOWED_FOR_MS 1000 /* refusals within that are one: segments ask at the same time */
#define SLOW_AT_MOST 95
#define FASTER_PERCENT 5 /* back after each good page */

void scan_pace_set(struct scan_pace *pace, int64_t read_capacity, int64_t percent)
{
    pace->rate_milli = read_capacity * 10 * percent;
}

static int64_t cost_us(const struct scan_pace *pace, int64_t milli)
{
    return milli * 1000000 / MAX(pace->rate_milli * (100 - pace->slow_percent) / 100, 1);
}

int64_t scan_pace_wait_ms(struct scan_pace *pace, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;

    if (pace->rate_milli == 0) {
        pace->pages_asked++;
        return 0;
    }
    if (pace->page_milli == 0 && pace->pages_asked > 0)
        return FIRST_PAGE_MS;
    if (pace->due_us > now_us)
        return MIN((pace->due_us - now_us + 999) / 1000, COME_AGAIN_MS);
    pace->due_us = now_us + cost_us(pace, pace->page_milli);
    pace->pages_asked++;
    return 0;
}

static int64_t estimate_milli(int64_t answer_bytes)
{
    int64_t bytes = MIN(MAX(answer_bytes, 1), PAGE_BYTES_AT_MOST);

    return (bytes + UNIT_BYTES - 1) / UNIT_BYTES * 1000;
}

void scan_pace_answered(struct scan_pace *pace, int64_t consumed_milli, int64_t answer_bytes)
{
    int64_t milli =
        consumed_milli >= 0 ? MIN(consumed_milli, MILLI_AT_MOST) : estimate_milli(answer_bytes);

    pace->pages_asked--;
    if (pace->rate_milli == 0)
        return;
    pace->due_us += cost_us(pace, milli - pace->page_milli);
    pace->page_milli = MAX(milli, 1);
    pace->slow_percent = MAX(pace->slow_percent - FASTER_PERCENT, 0);
}

void scan_pace_failed(struct scan_pace *pace, bool throttled, int64_t now_ms)
{
    pace->pages_asked--;
    if (pace->rate_milli == 0 || !throttled)
        return; /* what was cut may have been read: it stays charged */
    pace->due_us -= cost_us(pace, pace->page_milli); /* it took nothing */
    if (pace->slow_percent > 0 && now_ms - pace->slowed_ms < SLOWED_FOR_MS)
        return;
    pace->slow_percent = MIN(100 - (100 - pace->slow_percent) / 2, SLOW_AT_MOST);
    pace->slowed_ms = now_ms;
    pace->due_us = MAX(pace->due_us, now_ms * 1000) + SLOWED_FOR_MS * 1000;
}

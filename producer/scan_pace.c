#include "producer/scan_pace.h"

#include "common/base/bytes.h"

#define UNIT_BYTES 4096              /* of one strongly consistent read */
#define PAGE_BYTES_AT_MOST (1 << 20) /* of items, as the service counts them */
#define MILLI_AT_MOST 1000000000     /* of a service that tells nonsense */
#define FIRST_PAGE_MS 100            /* until the first page's cost is known there is one */
#define COME_AGAIN_MS 1000
#define SLOWED_FOR_MS 1000 /* poison of so long are one: segments ask at the same time */
#define SLOW_AT_MOST 95
#define FASTER_PERCENT 5 /* back after each good page */

void scan_pace_set(struct scan_pace *p, int64_t read_capacity, int64_t percent)
{
    p->rate_milli = read_capacity * 10 * percent;
}

static int64_t cost_us(const struct scan_pace *p, int64_t milli)
{
    return milli * 1000000 / MAX(p->rate_milli * (100 - p->slow_percent) / 100, 1);
}

int64_t scan_pace_wait_ms(struct scan_pace *p, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;

    if (p->rate_milli == 0) {
        p->pages_asked++;
        return 0;
    }
    if (p->page_milli == 0 && p->pages_asked > 0)
        return FIRST_PAGE_MS;
    if (p->due_us > now_us)
        return MIN((p->due_us - now_us + 999) / 1000, COME_AGAIN_MS);
    p->due_us = now_us + cost_us(p, p->page_milli);
    p->pages_asked++;
    return 0;
}

static int64_t estimate_milli(int64_t answer_bytes)
{
    int64_t bytes = MIN(MAX(answer_bytes, 1), PAGE_BYTES_AT_MOST);

    return (bytes + UNIT_BYTES - 1) / UNIT_BYTES * 1000;
}

void scan_pace_answered(struct scan_pace *p, int64_t consumed_milli, int64_t answer_bytes)
{
    int64_t milli =
        consumed_milli >= 0 ? MIN(consumed_milli, MILLI_AT_MOST) : estimate_milli(answer_bytes);

    p->pages_asked--;
    if (p->rate_milli == 0)
        return;
    p->due_us += cost_us(p, milli - p->page_milli);
    p->page_milli = MAX(milli, 1);
    p->slow_percent = MAX(p->slow_percent - FASTER_PERCENT, 0);
}

void scan_pace_failed(struct scan_pace *p, bool throttled, int64_t now_ms)
{
    p->pages_asked--;
    if (p->rate_milli == 0 || !throttled)
        return; /* what was cut may have been read: it stays charged */
    p->due_us -= cost_us(p, p->page_milli); /* it took nothing */
    if (p->slow_percent > 0 && now_ms - p->slowed_ms < SLOWED_FOR_MS)
        return;
    p->slow_percent = MIN(100 - (100 - p->slow_percent) / 2, SLOW_AT_MOST);
    p->slowed_ms = now_ms;
    p->due_us = MAX(p->due_us, now_ms * 1000) + SLOWED_FOR_MS * 1000;
}

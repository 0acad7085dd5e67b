#include "common/limits.h"

#include <stdlib.h>

#include "common/check.h"

#define DESCRIPTION_MS 100 /* between two: DynamoDB Streams allows 10 a second */

struct bucket { /* tokens in thousandths, refilled by time, at most one second's worth */
    int64_t rate;
    int64_t milli_tokens;
    int64_t refilled_ms;
};

struct limits {
    pthread_mutex_t lock; /* all below */
    size_t budget;
    size_t used;
    struct bucket scans;
    struct bucket streams;
    int64_t tables_left;
    int64_t next_description_ms;
};

struct limits *limits_new(int64_t memory_bytes, int64_t scan_rate, int64_t stream_rate,
                          int64_t tables_at_once)
{
    struct limits *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    l->budget = (size_t)memory_bytes;
    l->scans = (struct bucket){.rate = scan_rate, .milli_tokens = scan_rate * 1000};
    l->streams = (struct bucket){.rate = stream_rate, .milli_tokens = stream_rate * 1000};
    l->tables_left = tables_at_once;
    return l;
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

bool limits_reserve(struct limits *l, enum limits_use use, size_t bytes)
{
    (void)use;
    AUTO_LOCK(&l->lock);
    if (l->used > 0 && l->used + bytes > l->budget)
        return false;
    l->used += bytes;
    return true;
}

void limits_settle(struct limits *l, enum limits_use use, size_t reserved, size_t actual)
{
    (void)use;
    AUTO_LOCK(&l->lock);
    CHECK(l->used >= reserved);
    l->used = l->used - reserved + actual;
}

void limits_return(struct limits *l, enum limits_use use, size_t bytes)
{
    limits_settle(l, use, bytes, 0);
}

static int64_t bucket_take(struct bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return 0;
    if (b->refilled_ms > 0)
        b->milli_tokens =
            MIN(b->milli_tokens + (now_ms - b->refilled_ms) * b->rate, b->rate * 1000);
    b->refilled_ms = now_ms;
    if (b->milli_tokens < 1000)
        return MAX((1000 - b->milli_tokens) / b->rate, 1);
    b->milli_tokens -= 1000;
    return 0;
}

int64_t limits_scan_wait_ms(struct limits *l, int64_t now_ms)
{
    AUTO_LOCK(&l->lock);
    return bucket_take(&l->scans, now_ms);
}

int64_t limits_stream_wait_ms(struct limits *l, int64_t now_ms)
{
    AUTO_LOCK(&l->lock);
    return bucket_take(&l->streams, now_ms);
}

int64_t limits_describe_slot_ms(struct limits *l, int64_t now_ms)
{
    int64_t slot;

    AUTO_LOCK(&l->lock);
    slot = MAX(l->next_description_ms, now_ms);
    l->next_description_ms = slot + DESCRIPTION_MS;
    return slot - now_ms;
}

bool limits_scan_begin(struct limits *l)
{
    AUTO_LOCK(&l->lock);
    if (l->tables_left == 0)
        return false;
    l->tables_left--;
    return true;
}

void limits_scan_end(struct limits *l)
{
    AUTO_LOCK(&l->lock);
    l->tables_left++;
}

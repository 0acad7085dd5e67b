#include "common/run/throttle.h"

#include <stdlib.h>

#include "common/base/check.h"

#define DESCRIPTION_MS 100 /* between two: DynamoDB Streams allows 10 a second */

struct bucket { /* tokens in thousandths, refilled by time, at most one second's worth */
    int64_t rate;
    int64_t milli_tokens;
    int64_t refilled_ms;
};

struct throttle {
    /* set once */
    size_t budget;
    size_t scan_share;     /* of the budget: the rest is the streams' at any time */
    int64_t scans_at_most; /* requests in flight, which hold a thread each */
    bool (*on_room)(void *arg);
    void *on_room_arg;
    pthread_mutex_t lock; /* all below */
    size_t used[THROTTLE_USES];
    int64_t scans_in_flight;
    bool refused; /* somebody, since the last call of on_room */
    struct bucket scans;
    struct bucket streams;
    int64_t tables_left;
    int64_t next_description_ms;
};

struct throttle *throttle_new(int64_t memory_bytes, int64_t threads, int64_t scan_rate,
                              int64_t stream_rate, int64_t tables_at_once)
{
    struct throttle *l = xcalloc(1, sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    l->budget = (size_t)memory_bytes;
    l->scan_share = threads ? l->budget - l->budget / 4 : l->budget;
    l->scans_at_most = threads ? MAX(threads * 3 / 4, 1) : INT64_MAX;
    l->scans = (struct bucket){.rate = scan_rate, .milli_tokens = scan_rate * 1000};
    l->streams = (struct bucket){.rate = stream_rate, .milli_tokens = stream_rate * 1000};
    l->tables_left = tables_at_once;
    return l;
}

void throttle_free(struct throttle *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void throttle_on_room(struct throttle *l, bool (*fn)(void *arg), void *arg)
{
    l->on_room = fn;
    l->on_room_arg = arg;
}

/* Outside the lock: the callee has locks of its own. */
static void tell_of_room(struct throttle *l)
{
    bool due;

    pthread_mutex_lock(&l->lock);
    due = l->refused;
    l->refused = false;
    pthread_mutex_unlock(&l->lock);
    if (!due || !l->on_room || !l->on_room(l->on_room_arg))
        return;
    pthread_mutex_lock(&l->lock);
    l->refused = true;
    pthread_mutex_unlock(&l->lock);
}

static bool scan_fits(const struct throttle *l, size_t bytes)
{
    size_t scans = l->used[THROTTLE_SCAN];

    if (l->scans_in_flight == 0)
        return true; /* however large it is, and whatever the streams hold */
    return l->scans_in_flight < l->scans_at_most && scans + bytes <= l->scan_share &&
           scans + l->used[THROTTLE_STREAM] + bytes <= l->budget;
}

static bool stream_fits(const struct throttle *l, size_t bytes)
{
    size_t streams = l->used[THROTTLE_STREAM];

    if (streams == 0 || streams + bytes <= l->budget - l->scan_share)
        return true;
    return l->used[THROTTLE_SCAN] + streams + bytes <= l->budget;
}

bool throttle_reserve(struct throttle *l, enum throttle_use use, size_t bytes)
{
    AUTO_LOCK(&l->lock);
    if (!(use == THROTTLE_SCAN ? scan_fits(l, bytes) : stream_fits(l, bytes))) {
        l->refused = true;
        return false;
    }
    l->used[use] += bytes;
    l->scans_in_flight += use == THROTTLE_SCAN;
    return true;
}

static void settle(struct throttle *l, enum throttle_use use, size_t reserved, size_t actual)
{
    CHECK(l->used[use] >= reserved);
    l->used[use] = l->used[use] - reserved + actual;
}

void throttle_settle(struct throttle *l, enum throttle_use use, size_t reserved, size_t actual)
{
    pthread_mutex_lock(&l->lock);
    settle(l, use, reserved, actual);
    pthread_mutex_unlock(&l->lock);
    if (actual < reserved)
        tell_of_room(l);
}

void throttle_return(struct throttle *l, enum throttle_use use, size_t bytes)
{
    pthread_mutex_lock(&l->lock);
    settle(l, use, bytes, 0);
    if (use == THROTTLE_SCAN) {
        CHECK(l->scans_in_flight > 0);
        l->scans_in_flight--;
    }
    pthread_mutex_unlock(&l->lock);
    tell_of_room(l);
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

int64_t throttle_scan_wait_ms(struct throttle *l, int64_t now_ms)
{
    AUTO_LOCK(&l->lock);
    return bucket_take(&l->scans, now_ms);
}

int64_t throttle_stream_wait_ms(struct throttle *l, int64_t now_ms)
{
    AUTO_LOCK(&l->lock);
    return bucket_take(&l->streams, now_ms);
}

int64_t throttle_describe_slot_ms(struct throttle *l, int64_t now_ms)
{
    int64_t slot;

    AUTO_LOCK(&l->lock);
    slot = MAX(l->next_description_ms, now_ms);
    l->next_description_ms = slot + DESCRIPTION_MS;
    return slot - now_ms;
}

bool throttle_scan_begin(struct throttle *l)
{
    AUTO_LOCK(&l->lock);
    if (l->tables_left == 0) {
        l->refused = true;
        return false;
    }
    l->tables_left--;
    return true;
}

void throttle_scan_end(struct throttle *l)
{
    pthread_mutex_lock(&l->lock);
    l->tables_left++;
    pthread_mutex_unlock(&l->lock);
    tell_of_room(l);
}

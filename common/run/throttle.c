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
    struct throttle *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    t->budget = (size_t)memory_bytes;
    t->scan_share = threads ? t->budget - t->budget / 4 : t->budget;
    t->scans_at_most = threads ? MAX(threads * 3 / 4, 1) : INT64_MAX;
    t->scans = (struct bucket){.rate = scan_rate, .milli_tokens = scan_rate * 1000};
    t->streams = (struct bucket){.rate = stream_rate, .milli_tokens = stream_rate * 1000};
    t->tables_left = tables_at_once;
    return t;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void throttle_on_room(struct throttle *t, bool (*fn)(void *arg), void *arg)
{
    t->on_room = fn;
    t->on_room_arg = arg;
}

/* Outside the lock: the callee has locks of its own. */
static void tell_of_room(struct throttle *t)
{
    bool due;

    pthread_mutex_lock(&t->lock);
    due = t->refused;
    t->refused = false;
    pthread_mutex_unlock(&t->lock);
    if (!due || !t->on_room || !t->on_room(t->on_room_arg))
        return;
    pthread_mutex_lock(&t->lock);
    t->refused = true;
    pthread_mutex_unlock(&t->lock);
}

static bool scan_fits(const struct throttle *t, size_t bytes)
{
    size_t scans = t->used[THROTTLE_SCAN];

    if (t->scans_in_flight == 0)
        return true; /* however large it is, and whatever the streams hold */
    return t->scans_in_flight < t->scans_at_most && scans + bytes <= t->scan_share &&
           scans + t->used[THROTTLE_STREAM] + bytes <= t->budget;
}

static bool stream_fits(const struct throttle *t, size_t bytes)
{
    size_t streams = t->used[THROTTLE_STREAM];

    if (streams == 0 || streams + bytes <= t->budget - t->scan_share)
        return true;
    return t->used[THROTTLE_SCAN] + streams + bytes <= t->budget;
}

bool throttle_reserve(struct throttle *t, enum throttle_use use, size_t bytes)
{
    AUTO_LOCK(&t->lock);
    if (!(use == THROTTLE_SCAN ? scan_fits(t, bytes) : stream_fits(t, bytes))) {
        t->refused = true;
        return false;
    }
    t->used[use] += bytes;
    t->scans_in_flight += use == THROTTLE_SCAN;
    return true;
}

static void settle(struct throttle *t, enum throttle_use use, size_t reserved, size_t actual)
{
    CHECK(t->used[use] >= reserved);
    t->used[use] = t->used[use] - reserved + actual;
}

void throttle_settle(struct throttle *t, enum throttle_use use, size_t reserved, size_t actual)
{
    pthread_mutex_lock(&t->lock);
    settle(t, use, reserved, actual);
    pthread_mutex_unlock(&t->lock);
    if (actual < reserved)
        tell_of_room(t);
}

void throttle_return(struct throttle *t, enum throttle_use use, size_t bytes)
{
    pthread_mutex_lock(&t->lock);
    settle(t, use, bytes, 0);
    if (use == THROTTLE_SCAN) {
        CHECK(t->scans_in_flight > 0);
        t->scans_in_flight--;
    }
    pthread_mutex_unlock(&t->lock);
    tell_of_room(t);
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

int64_t throttle_scan_wait_ms(struct throttle *t, int64_t now_ms)
{
    AUTO_LOCK(&t->lock);
    return bucket_take(&t->scans, now_ms);
}

int64_t throttle_stream_wait_ms(struct throttle *t, int64_t now_ms)
{
    AUTO_LOCK(&t->lock);
    return bucket_take(&t->streams, now_ms);
}

int64_t throttle_describe_slot_ms(struct throttle *t, int64_t now_ms)
{
    int64_t slot;

    AUTO_LOCK(&t->lock);
    slot = MAX(t->next_description_ms, now_ms);
    t->next_description_ms = slot + DESCRIPTION_MS;
    return slot - now_ms;
}

bool throttle_scan_begin(struct throttle *t)
{
    AUTO_LOCK(&t->lock);
    if (t->tables_left == 0) {
        t->refused = true;
        return false;
    }
    t->tables_left--;
    return true;
}

void throttle_scan_end(struct throttle *t)
{
    pthread_mutex_lock(&t->lock);
    t->tables_left++;
    pthread_mutex_unlock(&t->lock);
    tell_of_room(t);
}

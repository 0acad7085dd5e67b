/* consumer/pool.h - the writers: a bounded number of threads that work through all partitions.
 *
 * Invariant: a partition is held by at most one thread. It is looked at when messages come,
 * when its due time has come, or when someone asks. What a holder does is a function given at
 * the start, which returns when it wants to be called next. */
#pragma once

#include "consumer/partition.h"

#define POOL_AT_ONCE 0

struct pool_work {
    /* Answers the time (clock_mono_ms) of the next look, or POOL_AT_ONCE. */
    int64_t (*step)(void *context, struct partition *p);
    void *(*open)(void *arg); /* makes a thread's own context */
    void (*close)(void *context);
    void *arg;
};

struct pool *pool_new(int threads, const struct pool_work *work);
/* Ends the threads after the step each is in, at most timeout_ms later. false: one still is in
 * its step: nothing may be freed. */
bool pool_stop(struct pool *pool, int64_t timeout_ms);
void pool_free(struct pool *pool); /* also its partitions; after pool_stop */

/* The partition of this name, made when there is none. */
struct partition *pool_partition(struct pool *pool, struct fetch *f, const char *topic,
                                 int32_t number);
struct partition *pool_find(struct pool *pool, const char *topic, int32_t number);
/* Calls each for every partition, under the lock: each only looks, or sets what the lock
 * guards. */
void pool_each(struct pool *pool, void (*each)(void *arg, struct partition *p), void *arg);

void pool_wake(struct pool *pool, struct partition *p); /* messages came */
void pool_assign(struct pool *pool, struct partition *p);
void pool_revoke(struct pool *pool, struct partition *p);
enum pool_request {
    POOL_OURS,   /* the group gives it to us */
    POOL_LET_GO, /* asked to let go, answered by pool_parked */
    POOL_STRAY,  /* neither */
};
/* What is asked of its holder. */
enum pool_request pool_request(struct pool *pool, struct partition *p, unsigned *assignments);
void pool_parked(struct pool *pool, struct partition *p);
/* The partitions of a table are to be looked at. */
void pool_wake_table(struct pool *pool, const struct table *t);
/* Waits until all partitions asked to let go have done so; false: not in time. */
bool pool_wait_parked(struct pool *pool, int64_t timeout_ms);

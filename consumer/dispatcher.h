/* consumer/dispatcher.h - the writers: a bounded number of threads that work through all
 * partitions.
 *
 * Invariant: a partition is held by at most one thread. It is looked at when something happened
 * to it (messages, an answer, the group) or its due time has come. What a holder does is a
 * function given at the start, which returns when it wants to be called next.
 *
 * One table must not keep all writers: while there are other tables, it gets all but one of
 * them; none more while one of its steps takes long; and one alone after its last command timed
 * out (dispatcher_timed_out), of which kind again one writer stays free. */
#pragma once

#include "consumer/partition.h"

#define DISPATCH_AT_ONCE 0
#define DISPATCH_ON_EVENT INT64_MAX

struct dispatcher_work {
    /* Answers the time (clock_mono_ms) of the next look, or one of the two above. */
    int64_t (*step)(void *context, struct partition *p);
    void *(*open)(void *arg); /* makes a thread's own context */
    void (*close)(void *context);
    struct consumer *arg;
};

struct dispatcher *dispatcher_new(int threads, const struct dispatcher_work *work);
/* Ends the threads after the step each is in, at most timeout_ms later. false: one still is in
 * its step: nothing may be freed. */
bool dispatcher_stop(struct dispatcher *d, int64_t timeout_ms);
void dispatcher_free(struct dispatcher *d); /* also its partitions; after dispatcher_stop */

/* The partition of this name, made when there is none. Only the group's thread adds. */
struct partition *dispatcher_partition(struct dispatcher *d, const char *topic, int32_t number);
struct partition *dispatcher_find(struct dispatcher *d, const char *topic, int32_t number);
/* Calls each for every partition, under the lock: each only looks, or sets what the lock
 * guards. */
void dispatcher_each(struct dispatcher *d, void (*each)(void *arg, struct partition *p),
                     void *arg);

void dispatcher_wake(struct dispatcher *d, struct partition *p);
void dispatcher_wake_topic(struct dispatcher *d, const char *topic);

/* The group's word. */
void dispatcher_assign(struct dispatcher *d, struct partition *p);
void dispatcher_revoke(struct dispatcher *d, struct partition *p);
void dispatcher_revoke_all(struct dispatcher *d); /* also wakes what was revoked before */
/* Waits until all partitions that were revoked are released; false: not in time. all: also from
 * marks that are still to be set. */
bool dispatcher_wait_released(struct dispatcher *d, bool all, int64_t timeout_ms);

/* Of the holder: its table's last command timed out (true), or was answered. */
void dispatcher_timed_out(struct dispatcher *d, struct partition *p, bool timed_out);

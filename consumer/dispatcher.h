/* consumer/dispatcher.h - the writers: a bounded number of threads that work through all
 * partitions.
 *
 * Each partition is a step of a pool (step_pool.h), which knows when it is due; here is only
 * what is the consumer's own: which partitions there are, what the group says of them, and that
 * no table keeps all writers. While there are other tables, one gets all writers but one; none
 * more while one of its steps takes long; and one alone after its last command timed out
 * (dispatcher_timed_out), of which kind again one writer stays free. A partition that finds no
 * writer left for its table waits for its turn, behind those of its table that wait already;
 * tables that have timed out take turns.
 *
 * Invariant: a partition is held by at most one thread, from when its step begins until it
 * returns. Any thread may call. */
#pragma once

#include "consumer/partition.h"

struct dispatcher;

struct dispatcher_work {
    /* Answers in how many milliseconds it wants to be called again, 0 for at once, or
     * STEP_ON_WAKE. */
    int64_t (*step)(void *writer, struct partition *p);
    void *(*open)(void *arg); /* on each thread: makes its writer */
    void (*close)(void *writer);
    struct consumer *arg;
};

struct dispatcher *dispatcher_new(int threads, const struct dispatcher_work *work);
/* Ends the threads after the step each is in, and closes their writers, at most timeout_ms
 * later. false: one has not ended: nothing may be freed. */
bool dispatcher_stop(struct dispatcher *dispatcher, int64_t timeout_ms);
/* Also its partitions. After dispatcher_stop. */
void dispatcher_free(struct dispatcher *dispatcher);

/* The partition of this name, made when there is none. Only the group's thread adds. */
struct partition *dispatcher_partition(struct dispatcher *dispatcher, const char *topic,
                                       int32_t number);
struct partition *dispatcher_find(struct dispatcher *dispatcher, const char *topic,
                                  int32_t number);
/* Calls each for every partition, under the lock: each only looks, or sets what the lock
 * guards. */
void dispatcher_each(struct dispatcher *dispatcher,
                     void (*each)(void *arg, struct partition *p), void *arg);
/* All of a topic, like partition_wake. */
void dispatcher_wake_topic(struct dispatcher *dispatcher, const char *topic);

/* The group's word. */
void dispatcher_assign(struct dispatcher *dispatcher, struct partition *p);
void dispatcher_revoke(struct dispatcher *dispatcher, struct partition *p);
/* Also wakes what was revoked before. */
void dispatcher_revoke_all(struct dispatcher *dispatcher);
/* Waits until all partitions that were revoked are released; false: not in time. with_marks:
 * also until their marks are set. */
bool dispatcher_wait_released(struct dispatcher *dispatcher, bool with_marks,
                              int64_t timeout_ms);

/* Of the holder: its table's last command timed out (true), or was answered. */
void dispatcher_timed_out(struct dispatcher *dispatcher, struct partition *p, bool timed_out);

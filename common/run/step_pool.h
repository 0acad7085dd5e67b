/* common/run/step_pool.h - a bounded number of threads that run steps when they are due.
 *
 * A step is a piece of work that comes again: one request and its append, or one batch of a
 * partition. Its run function says in how many milliseconds it is due next, or one of the two
 * below. A step runs on one thread at a time; whoever is due for longest runs first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"

#define STEP_END (-1)
#define STEP_ON_WAKE INT64_MAX /* when it is woken, not before */

struct step_pool;
struct step_queue;

struct step { /* part of its owner; all fields but run, ended and arg are the pool's */
    int64_t (*run)(void *arg, void *local); /* local: what the thread's begin hook made */
    void (*ended)(void *arg); /* after STEP_END, on the pool's thread; may free the step */
    void *arg;
    int64_t due_ms;
    int32_t slot;                /* place in the heap, -1 when not in it */
    bool active;                 /* scheduled and not ended */
    bool woken;                  /* while it ran: run again at once */
    struct step_queue *waits_in; /* NULL: in none */
    struct step *next_waiting;
};

/* Steps that wait for something else than a time: room, a gate, their turn. All fields are the
 * pool's; zeroed: empty. It must live longer than the steps that wait in it. */
struct step_queue {
    struct step *first;
    struct step **last;
};

struct step_pool_hooks { /* on each thread of the pool */
    void *(*begin)(void *arg);
    void (*end)(void *local);
    void *arg;
};

struct step_pool *step_pool_new(int threads, struct step_pool_hooks hooks);
/* Lets running steps return, starts none, joins the threads. false: one of them still ran after
 * timeout_ms: nothing may be freed. */
bool step_pool_stop(struct step_pool *pool, int64_t timeout_ms);
/* Stops first, however long that takes; steps left over are ended. */
void step_pool_free(struct step_pool *pool);
DEFINE_FREEP(struct step_pool, step_pool_freep, step_pool_free)

/* run, ended and arg are set; false (and nothing done) when the step is active already. */
bool step_schedule(struct step_pool *pool, struct step *s, int64_t delay_ms);
/* Due now, when it is active. */
void step_wake(struct step_pool *pool, struct step *s);
/* By the step itself, while it runs, before it looks whether it must wait: the next
 * step_queue_wake makes it due. It waits in one queue at a time: the last one. Who only ever
 * uses a queue under a lock of its own may look first, and see who waits in it. */
void step_wait(struct step_pool *pool, struct step_queue *q, struct step *s);
/* Makes all that wait due now, in the order of their coming. Any thread. */
void step_queue_wake(struct step_pool *pool, struct step_queue *q);
/* The first ones, where only a few can have what they wait for. Whether others wait on. */
bool step_queue_wake_first(struct step_pool *pool, struct step_queue *q, size_t count);

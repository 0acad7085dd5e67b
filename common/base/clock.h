/* common/base/clock.h - the two clocks, in milliseconds, and waiting until a time. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms_(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For intervals: never goes back, and means nothing in another process. */
static inline int64_t clock_mono_ms(void)
{
    return clock_ms_(CLOCK_MONOTONIC);
}

/* Since 1970, UTC. */
static inline int64_t clock_wall_ms(void)
{
    return clock_ms_(CLOCK_REALTIME);
}

/* A condition that clock_cond_wait waits for. */
static inline void clock_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

/* Until at_ms of clock_mono_ms; as pthread_cond_timedwait: 0 when woken, for a reason or not.
 */
static inline int clock_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t at_ms)
{
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};

    return pthread_cond_timedwait(c, lock, &until);
}

/* Until *count, which the lock guards, is 0: threads that end. false: not in time. */
static inline bool clock_cond_wait_zero(pthread_cond_t *c, pthread_mutex_t *lock,
                                        const int *count, int64_t at_ms)
{
    while (*count > 0)
        if (clock_cond_wait(c, lock, at_ms))
            return *count == 0;
    return true;
}

/* common/clock.h - the two clocks, in milliseconds. Any thread. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms_(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t
clock_mono_ms(void) /* for intervals: never goes back, meaningless elsewhere */
{
    return clock_ms_(CLOCK_MONOTONIC);
}

static inline int64_t clock_wall_ms(void) /* since 1970, UTC */
{
    return clock_ms_(CLOCK_REALTIME);
}

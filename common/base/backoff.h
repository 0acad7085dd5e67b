/* common/base/backoff.h - growing delays with full jitter. Pure: the randomness is injected; of
 * one thread. */
#pragma once

#include <stdint.h>

struct backoff {
    int64_t base_ms;
    int64_t cap_ms;
    unsigned tries;
    uint64_t (*random)(void *arg);
    void *arg;
};

/* random NULL: the process's own generator. */
void backoff_init(struct backoff *b, int64_t base_ms, int64_t cap_ms,
                  uint64_t (*random)(void *), void *arg);
/* 0 .. min(cap, base * 2^tries), uniformly. */
int64_t backoff_next_ms(struct backoff *b);
void backoff_reset(struct backoff *b);

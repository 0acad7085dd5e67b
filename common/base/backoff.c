#include "common/base/backoff.h"

#include "common/base/auto.h"
#include "common/base/random.h"

static uint64_t process_random(void *arg)
{
    uint64_t r;

    (void)arg;
    random_bytes(&r, sizeof(r));
    return r;
}

void backoff_init(struct backoff *b, int64_t base_ms, int64_t cap_ms,
                  uint64_t (*random)(void *), void *arg)
{
    *b = (struct backoff){.base_ms = base_ms,
                          .cap_ms = cap_ms,
                          .random = random ? random : process_random,
                          .arg = arg};
}

int64_t backoff_next_ms(struct backoff *b)
{
    int64_t limit = b->base_ms;

    for (unsigned i = 0; i < b->tries && limit < b->cap_ms; i++)
        limit *= 2;
    limit = MIN(limit, b->cap_ms);
    b->tries++;
    return (int64_t)(b->random(b->arg) % (uint64_t)(limit + 1));
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}

#include "producer/producer.h"

#define WOKEN_AT_ONCE 16 /* what one came back with is room for a few of thousands */

bool producer_reserve(struct producer *p, enum throttle_use use, size_t bytes,
                      struct step *step)
{
    if (throttle_reserve(p->throttle, use, bytes))
        return true;
    step_wait(p->pool, &p->room, step); /* before it looks again */
    return throttle_reserve(p->throttle, use, bytes);
}

bool producer_room_came(void *arg)
{
    struct producer *p = arg;

    return step_queue_wake_first(p->pool, &p->room, WOKEN_AT_ONCE);
}

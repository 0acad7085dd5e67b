#include "producer/producer.h"

#define WOKEN_AT_ONCE 16 /* what one came back with is room for a few of thousands */

bool producer_reserve(struct producer *p, enum limits_use use, size_t bytes, struct step *s)
{
    if (limits_reserve(p->limits, use, bytes))
        return true;
    step_wait(p->pool, &p->room, s); /* before it looks again */
    return limits_reserve(p->limits, use, bytes);
}

bool producer_room_came(void *arg)
{
    struct producer *p = arg;

    return step_queue_wake_first(p->pool, &p->room, WOKEN_AT_ONCE);
}

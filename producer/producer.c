#include "producer/producer.h"

bool producer_reserve(struct producer *p, enum limits_use use, size_t bytes, struct step *s)
{
    if (limits_reserve(p->limits, use, bytes))
        return true;
    step_wait(p->pool, &p->room, s); /* before it looks again */
    return limits_reserve(p->limits, use, bytes);
}

void producer_room_came(void *arg)
{
    struct producer *p = arg;

    step_queue_wake(p->pool, &p->room);
}

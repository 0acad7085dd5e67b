/* consumer/life.h - calls the states of a partition (partition.h), one after another, until one
 * waits.
 *
 * The only place that sets a partition's state. What the rest of the program may see of it
 * (idle, health, whether its table is in use) is derived here, after each step. */
#pragma once

#include "consumer/consumer.h"

/* For dispatcher_work: arg is the struct consumer. */
void *life_worker_open(void *arg);
void life_worker_close(void *context);
int64_t life_step(void *context, struct partition *p);

/* The states. Each is called when something happened to the partition, or its time has come. */
#define X(name, function, ...)                                                                 \
    struct partition_next function(struct worker *w, struct partition *p);
PARTITION_STATES(X)
#undef X

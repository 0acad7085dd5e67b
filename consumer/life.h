/* consumer/life.h - calls the states of a partition (partition.h), one after another, until one
 * waits.
 *
 * The only place that sets a partition's state. What the rest of the program may see of it
 * (idle, health, whether its table is in use) is derived here, after each step. */
#pragma once

#include "consumer/partition.h"

/* For struct dispatcher_work: consumer is its arg, writer what each thread has of its own. */
void *life_writer_open(void *consumer);
void life_writer_close(void *writer);
int64_t life_step(void *writer, struct partition *p);

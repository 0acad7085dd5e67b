/* consumer/run.h - the states of a partition that runs: pull, write, dead letters, position, in
 * this order, so that a crash in between only repeats.
 *
 * The position is moved behind the writes, by the keeper: no write waits for it. Of the thread
 * that holds the partition. */
#pragma once

#include "consumer/partition.h"

struct partition_next run_running(struct partition *p);
struct partition_next run_letters(struct partition *p);

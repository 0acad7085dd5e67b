/* consumer/intake.h - messages of a partition become its batch.
 *
 * Every message counts for the position: events go into the batch, control records change what
 * the position says, foreign ones are put aside for the dead letters. Of the thread that holds
 * the partition. */
#pragma once

#include "consumer/partition.h"

/* Takes what is there until the batch has max_count keys or max_bytes. Sets end_seen and stop.
 * -1: the partition can't be read now (ERR_RETRY). */
int intake_pull(struct partition *p, size_t max_count, size_t max_bytes, struct error *err);

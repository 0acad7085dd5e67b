/* consumer/intake.h - messages of a partition become its batch.
 *
 * Every message counts for the position: events go into the batch, control records change what
 * the position says, foreign ones are put aside for the dead letters. Of the thread that holds
 * the partition. */
#pragma once

#include "consumer/partition.h"

struct intake_limits {
    size_t count; /* keys in a batch */
    size_t bytes;
};

/* Takes what is there until the batch is full. Sets end_seen and stop. -1: the partition can't
 * be read now (ERR_RETRY). */
int intake_pull(struct partition *p, const struct intake_limits *limits, struct error *err);

/* One message: into the batch, or put aside. Takes it. The tests' way in. */
void intake_message(struct partition *p, rd_kafka_message_t *m);

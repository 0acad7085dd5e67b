/* consumer/topic_check.h - the state CHECKING: nothing is read on from a stored offset before
 * the log has shown that it is the one that the position is about.
 *
 * It is looked at through the partition's own stream, one place after the other, mostly one: so
 * no writer waits for a broker. What the sights mean is decided in topic_identity.h. Of the
 * thread that holds the partition. */
#pragma once

#include "consumer/partition.h"

struct partition_next topic_check_checking(struct partition *p);

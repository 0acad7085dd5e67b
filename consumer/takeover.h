/* consumer/takeover.h - the states before a partition runs and after it did: waiting for its
 * table, taking it over, leaving it, telling a new owner of late writes.
 *
 * A partition is taken by a change of its position document that only one consumer can make. It
 * is left with a goodbye there, so that the successor knows that no write can come late. Of the
 * thread that holds the partition. */
#pragma once

#include "consumer/partition.h"

struct partition_next takeover_resting(struct partition *p);
struct partition_next takeover_waiting(struct partition *p);
struct partition_next takeover_left_out(struct partition *p);
struct partition_next takeover_taking(struct partition *p);
struct partition_next takeover_leaving(struct partition *p);
struct partition_next takeover_marking(struct partition *p);

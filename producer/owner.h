/* producer/owner.h - the group's member: which ledger partitions are ours, opened and given
 * back.
 *
 * The group only places work; safety is the fence of each partition's handle. Runs on the main
 * thread. */
#pragma once

#include "producer/producer.h"

/* Until the stop is requested, or (sync_mode full) everything is done. 0, or ERR_FATAL: fenced
 * by another member of the same instance id (78), a missing right (77). */
int owner_run(struct producer *p, struct error *err);

/* producer/owner.h - opens the ledger partitions that the group assigns to us, starts what is
 * to be carried there, and closes them.
 *
 * The group only spreads the work; what keeps two owners of a partition apart is the fence of
 * its handle. Runs on the main thread. */
#pragma once

#include "producer/producer.h"

/* Until a stop is requested, or (sync_mode full) everything is done. ERR_FATAL: another
 * instance has our instance.id, or the ledger is another source's (78); a missing right (77).
 */
int owner_run(struct producer *p, struct error *err);

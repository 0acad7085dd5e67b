/* consumer/ownership.h - what the position document says to its owner, and what follows from
 * it.
 *
 * The states HELD, READING and REWINDING are the way back to running, HALTED the wait for
 * someone to act. Of the thread that holds the partition. */
#pragma once

#include "consumer/partition.h"

/* Only a member that polled its group lately may send anything. */
bool ownership_polled_lately(const struct consumer *c);
/* What the ledger says of the table (the caller releases ret in any case), and where its newest
 * generation begins in this partition; POSITION_NONE: not known yet. false: nothing. */
bool ownership_read_ledger(const struct partition *p, struct ledger_table *ret,
                           int64_t *ret_begin);
/* Does the ledger know the begin of a generation that is newer than the position's, or of
 * another log? */
bool ownership_newer_begins(const struct partition *p);
/* Does what a document says that was read when nothing was on its way; memory does not count.
 */
struct partition_next ownership_follow(struct partition *p, const struct position_doc *doc);
/* REWINDING: by change; go_back: where to, or POSITION_NONE to begin again. */
struct partition_next ownership_rewind(struct partition *p,
                                       const struct position_change *change, int64_t go_back);

/* The states. */
struct partition_next ownership_held(struct partition *p);
struct partition_next ownership_reading(struct partition *p);
struct partition_next ownership_rewinding(struct partition *p);
struct partition_next ownership_halted(struct partition *p);

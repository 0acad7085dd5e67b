/* consumer/ownership.h - what the position document says to its owner, and what follows from
 * it. The states HELD, READING and REWINDING are its way back to running. */
#pragma once

#include "consumer/consumer.h"

/* Only a member that polled its group lately may send anything. */
bool ownership_polled_lately(const struct worker *w);
/* What the ledger says of the table (the caller releases ret in any case), and where its newest
 * generation begins in this partition; POSITION_NONE: not known yet. false: nothing. */
bool ownership_read_ledger(struct worker *w, const struct partition *p,
                           struct ledger_table *ret, int64_t *ret_begin);
/* Does the ledger know the begin of a generation that is newer than the position's, or of
 * another log? */
bool ownership_newer_begins(struct worker *w, const struct partition *p);
/* Does what a document says that was read when nothing was on its way; memory does not count.
 */
struct partition_next ownership_follow(struct worker *w, struct partition *p,
                                       const struct position_doc *doc);
/* REWINDING: by change; go_back: where to, or POSITION_NONE to begin again. */
struct partition_next ownership_rewind(struct worker *w, struct partition *p,
                                       const struct position_change *change, int64_t go_back);

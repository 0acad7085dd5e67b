/* consumer/pass.h - RUNNING and SWEEPING in a generation that is not the first one of its
 * collection: it is applied in place, and what it has left over is deleted at its end.
 *
 * A pass is a random name. It is stored in the position together with the begin, before
 * anything behind it is applied; every key that is seen from then on is noted under it
 * (seen.h). At the generation's end nothing is applied until the sweeper has deleted the
 * partition's documents without a note; then the position moves past the end, without a pass.
 * Of the thread that holds the partition. */
#pragma once

#include "consumer/partition.h"

/* Does this begin need one? Then nothing behind it is taken in (PARTITION_STOP_BEGIN). */
bool pass_is_wanted(const struct partition *p, const struct event *ev, int64_t offset);
/* Is this the end of the generation with the pass (PARTITION_STOP_END)? */
bool pass_is_at_end(const struct partition *p, const struct event *ev);

/* A record whose key can't be told: what it is about would be taken for left over, so nothing
 * is swept at the end of this generation. */
void pass_see_unreadable(struct partition *p);
/* The key of a `skipped` record, which is taken in: its row was seen. */
void pass_see_skipped(struct partition *p, struct bytes keys);
/* Nothing may be taken in before the notes of the pass have begun. */
bool pass_has_to_begin(const struct partition *p);
int pass_begin_notes(struct partition *p, struct error *err);
/* What the batch in hand has seen, before it is written: what is refused was seen too. */
void pass_collect(struct partition *p);
/* Notes it, when all of it is written or refused. -1: not acknowledged. */
int pass_note(struct partition *p, struct error *err);

/* All of the batch is applied: unless it has what can't be told, the pass goes on. */
void pass_applied(struct partition *p);

/* Everything before the begin, or before the end, is applied. */
struct partition_next pass_begins(struct partition *p);
struct partition_next pass_ends(struct partition *p);
/* SWEEPING: */
struct partition_next pass_sweeping(struct partition *p);
/* Leaves a sweep that is not to go on. false: a command of it is on its way. */
bool pass_left(struct partition *p);

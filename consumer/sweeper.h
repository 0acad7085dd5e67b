/* consumer/sweeper.h - the threads that sweep collections (sweep.h), and remove the notes of
 * passes that are over.
 *
 * Partitions of a table come to the end of their generation one after another, so an ask waits
 * for others of its table for a moment; those that come later have the next sweep. The asker
 * applies nothing until it has the outcome. Any thread may call. */
#pragma once

#include "common/mongo/mongo_target.h"
#include "consumer/sweep.h"

struct sweeper;

/* me: the owner's name in the positions. ended: called without a lock when an ask has its
 * outcome. */
struct sweeper *sweeper_new(const struct mongo_target *target, const char *me,
                            void (*ended)(void *owner));
/* false: a thread still was in a command after timeout_ms: nothing may be freed. */
bool sweeper_stop(struct sweeper *sweeper, int64_t timeout_ms);
/* After sweeper_stop; NULL is fine. */
void sweeper_free(struct sweeper *sweeper);

void sweeper_ask(struct sweeper *sweeper, struct sweep_ask *ask);
/* Or does it wait for others? */
bool sweeper_is_sweeping(struct sweeper *sweeper, const struct sweep_ask *ask);
/* An outcome is told once; then the ask is free again. */
enum sweep_outcome sweeper_outcome(struct sweeper *sweeper, struct sweep_ask *ask);
/* The asker does not want it any more. false: it is being swept, and `ended` follows. Else
 * *ret is its outcome, SWEEP_DONE when nothing was asked for or begun. */
bool sweeper_take_back(struct sweeper *sweeper, struct sweep_ask *ask, enum sweep_outcome *ret);

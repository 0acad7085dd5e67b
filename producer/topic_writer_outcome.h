/* producer/topic_writer_outcome.h - what the end of a transaction means for the members that
 * took part in it: who is to blame for a failure (trust.h), who is told what.
 *
 * Called by the committer under the exclusive gate. For the writer's own files. */
#pragma once

#include "producer/topic_writer_core.h"

void topic_writer_outcome_committed(struct topic_writer *writer);
/* trouble: why it failed. rolled_back: the abort is known to have happened. If it is not,
 * nobody is told, since the writer is not used any more and the next owner reads the ledger. */
void topic_writer_outcome_aborted(struct topic_writer *writer, const struct trouble *trouble,
                                  bool rolled_back);

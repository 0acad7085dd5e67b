/* producer/ledger_dues.h - whatever the ledger does not have yet of a running table: its record
 * with the begin offsets, first records of shards, the snapshot's end, tombstones.
 *
 * What is due is seen from table_state, never from what was once appended. Of the control step.
 */
#pragma once

#include "producer/table_worker.h"

/* True: there may be more at once. What can't be appended now stays due. */
bool ledger_dues_append(struct append_context *a);

/* Its part, for its test too. Under the gate: the snapshot's end, behind all pages, while none
 * was taken back. */
int ledger_dues_append_end(struct append_context *a, struct error *err);

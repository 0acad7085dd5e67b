/* producer/start_trouble.h - what keeps a table from starting: waited out, or believed when it
 * stays.
 *
 * Each returns when the control step is to try again. */
#pragma once

#include "producer/start_decision.h"
#include "producer/table_worker.h"

/* Something is under way. */
int64_t start_trouble_soon(struct table_worker *w);
/* Retriable: logged, and waited out. */
int64_t start_trouble_retry(struct table_worker *w, const char *what, const struct error *err);
/* Something that would halt the table: believed when it stays like this for source.doubt.ms.
 * What the ledger says already is no news. */
int64_t start_trouble_doubt(struct table_worker *w, enum ledger_phase phase,
                            const char *reason);
/* The same for a decision to halt, which may be believed sooner. */
int64_t start_trouble_halt(struct table_worker *w, const struct start_decision *decision);

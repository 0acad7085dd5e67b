/* producer/table_resume.h - goes on with the generation that the ledger has, where its data
 * topic is still the log that the ledger speaks of. Of the control step. */
#pragma once

#include "producer/table_worker.h"

/* One try. Returns when to come again; the state is RUNNING when it is done. */
int64_t table_resume(struct table_worker *w);

/* Its part, for its test too: the records from the ledger into memory. *found: the begin
 * offsets, where the ledger has none; taken. */
int table_resume_load(struct table_worker *w, int64_t **found, struct error *err);

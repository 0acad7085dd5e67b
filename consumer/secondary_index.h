/* consumer/secondary_index.h - plain indexes for the table's secondary indexes in DynamoDB
 * (full.enable_index.user).
 *
 * Named dynaferry_index_<IndexName>, on the attributes as they are converted (`at.S`, or `at`),
 * hash key first, never unique, ascending. They are for the user's queries: applying never
 * waits for one, and a refused one is a warning. One with an attribute whose name can't be
 * indexed in MongoDB (a dot, a leading dollar) is left out, and secondary_index_build logs
 * that. */
#pragma once

#include "common/messages/ledger.h"
#include "common/mongo/mongo.h"
#include "consumer/table.h"

/* Is there one to be made? -1: can't be told. Not long. */
int secondary_index_missing(bool *ret, struct mongo *m, const struct table_view *view,
                            const struct ledger_table *ledger, struct error *err);
/* Makes those that are missing, one after another. -1: not all; each was logged. Long. */
int secondary_index_build(struct mongo *m, const struct table_view *view,
                          const struct ledger_table *ledger);

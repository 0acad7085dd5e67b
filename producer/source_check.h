/* producer/source_check.h - the source's tables, and what must be true of them at the start. */
#pragma once

#include "producer/producer.h"

/* All tables of the source, sorted; the caller frees (ddb_names_free). */
int source_check_list(char ***ret, size_t *ret_count, struct ddb_client *client,
                      struct error *err);

/* At the start, before anything runs: the source must answer within start.timeout (69), accept
 * the credentials (77), and be the one that the ledger is for (78). The white list must name
 * something that is there, or known to the ledger, and a table that it alone names must be able
 * to have a topic (78). Fills p->identity and p->listed: the tables that pass the filters. */
int source_check(struct producer *p, struct error *err);

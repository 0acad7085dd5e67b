/* producer/source_check.h - lists the source's tables, and checks the source at the start. */
#pragma once

#include "producer/producer.h"

/* All tables of the source, sorted; the caller frees (ddb_names_free). */
int source_check_list(char ***ret, size_t *ret_count, struct ddb_client *client,
                      struct error *err);

/* Before anything runs. ERR_FATAL unless the source answers within start.timeout (69), accepts
 * the credentials (77) and is the one that the ledger is for (78). A white list has to name a
 * table that exists or that the ledger knows; if it names only one, that needs a topic name
 * which Kafka takes (78). Fills p->identity and p->listed, the tables that pass the filters. */
int source_check(struct producer *p, struct error *err);

/* producer/plan.h - which tables are carried, and in which ledger partition each is placed.
 *
 * The owner of ledger partition 0 looks for tables and places new ones; a placement never
 * moves. */
#pragma once

#include "producer/ledger_partition.h"
#include "producer/producer.h"

/* The tables of the source that pass the filters. Names that collide or are refused in Kafka:
 * ERR_FATAL 78. */
int plan_tables(char ***ret, size_t *ret_count, const struct config *c,
                struct ddb_client *client, struct error *err);

/* At the start, before anything runs: the source must answer within start.timeout (69), accept
 * the credentials (77), and have the tables that the white list names, unless the ledger knows
 * them (78). */
int plan_check_source(struct producer *p, struct error *err);

/* The partition with the fewest tables, the lowest of several. Pure. */
int32_t plan_choose(const size_t *tables_placed, int32_t partitions);

/* ---- discovery: a step on the pool, for as long as partition 0 is owned ---- */

struct plan;

struct plan *plan_start(struct producer *p, struct ledger_partition *zero);
/* Every table of the source was seen to be placed, as of the last look; false before the first.
 */
bool plan_is_settled(const struct plan *plan);
void plan_stop(struct plan *plan); /* returns at once; a look under way ends by itself */

/* consumer/tables.h - the tables this consumer has partitions of, found by their topics.
 *
 * Any thread. A table lives until the process ends. */
#pragma once

#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "consumer/table.h"

struct tables;

struct tables *tables_new(const struct config *config, struct ledger_cache *ledger);
void tables_free(struct tables *tables);

/* The table whose log the topic is, as the ledger says; NULL while it does not say. */
struct table *tables_of_topic(struct tables *tables, const char *topic);
/* Calls each for every table that the filter does not leave out, under the lock. */
void tables_each(struct tables *tables, void (*each)(void *arg, const struct table *table),
                 void *arg);
/* Another table that would be applied to the same collection, or NULL: decided from all tables
 * in the ledger that the filter does not leave out, so it is the same in every consumer. The
 * caller frees. */
char *tables_rival(struct tables *tables, const struct table *table);

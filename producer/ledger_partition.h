/* producer/ledger_partition.h - one owned partition of the ledger: its handle, the tables that
 * are placed in it, the keeper of its other records.
 *
 * Of the owner's thread. */
#pragma once

#include "producer/ledger_handle.h"

struct ledger_partition;
struct progress;
struct table_worker;

int ledger_partition_open(struct ledger_partition **ret, struct producer *p, int32_t partition,
                          struct error *err);
/* Commits and stops the tables; requests that are under way end by themselves. */
void ledger_partition_close(struct ledger_partition *lp);

/* Its own records are written from now on; before tables are started. */
void ledger_partition_start(struct ledger_partition *lp);
/* Starts those that are not started yet. */
void ledger_partition_start_tables(struct ledger_partition *lp, char *const *tables,
                                   size_t count);
/* Stops the table, then removes its records from the ledger. */
void ledger_partition_forget(struct ledger_partition *lp, const char *table);
/* To be called now and then. */
void ledger_partition_tend(struct ledger_partition *lp);

struct ledger_handle *ledger_partition_handle(struct ledger_partition *lp);
/* NULL: not started here. */
struct table_worker *ledger_partition_table(struct ledger_partition *lp, const char *table);
/* It has no tables. */
bool ledger_partition_is_idle(const struct ledger_partition *lp);
void ledger_partition_note_progress(struct ledger_partition *lp, struct progress *progress);

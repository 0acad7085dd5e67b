/* producer/carried_table.h - makes the worker of one table, starts it and stops it.
 *
 * The top of all that belongs to a table: it wires the steps to the worker that they share. Of
 * the owner's thread. */
#pragma once

#include "producer/table_worker.h"

struct carried_table_setup {
    const char *table;
    int32_t ledger_partition;
    struct topic_writer *writer; /* of that partition; lives until `released` */
    /* Nothing of the table uses the writer any more. Any thread. */
    void (*released)(void *home);
    void *home;
};

/* Reads what the ledger has of it; nothing runs yet. */
struct table_worker *carried_table_new(struct producer *p,
                                       const struct carried_table_setup *setup);
void carried_table_begin(struct table_worker *w);
/* No step starts a request any more; returns at once. The owner's reference goes with it. */
void carried_table_stop(struct table_worker *w);

/* consumer/preparation.h - does what generation.h decides about a table's collection.
 *
 * Any thread, but one at a time for a table (table_look_begin), with a struct mongo of its own.
 */
#pragma once

#include "common/ledger.h"
#include "common/mongo.h"
#include "consumer/table.h"

struct preparation {
    const struct config *config;
    struct mongo *mongo;
    const struct ledger_table *ledger; /* the newest generation */
    struct table *table;
    bool preparer; /* this consumer owns partition 0 */
};

/* 1: ready, *ret describes it (the caller puts it); 0: wait for the owner of partition 0;
 * -1: ERR_RETRY an outage; ERR_FATAL a clear state that someone has to act on. */
int preparation_run(struct table_view **ret, const struct preparation *p, struct error *err);

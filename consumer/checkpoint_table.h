/* consumer/checkpoint_table.h - which cut of one table is the last one that the target holds.
 *
 * Of the thread of checkpoint_view. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <uthash.h>

#include "common/messages/ledger_cache.h"
#include "common/mongo/mongo.h"
#include "consumer/checkpoint_cut.h"

struct checkpoint_source { /* borrowed */
    struct ledger_cache *ledger;
    rd_kafka_t *rk;      /* reads uncommitted: its ends are those of all records */
    struct mongo *mongo; /* of the target's own database */
    const char *mark;
};

struct checkpoint_table {
    char *name;
    struct checkpoint_cut *cut; /* NULL: none yet */
    bool applied;               /* the target holds all of it */
    bool known;                 /* there was one that it held */
    bool copied;                /* as of the last such */
    UT_hash_handle hh;
};

struct checkpoint_table *checkpoint_table_new(const char *name);
void checkpoint_table_free(struct checkpoint_table *t);
/* Takes a new cut when the last one is applied and the ledger says something else by now; then
 * sees whether it is applied. 1: it has been since the last call; 0: nothing new; -1: Kafka or
 * the target does not answer. */
int checkpoint_table_follow(struct checkpoint_table *t, const struct checkpoint_source *from,
                            const struct ledger_table *record, struct error *err);

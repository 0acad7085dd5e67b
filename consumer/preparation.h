/* consumer/preparation.h - does what prepare_decision.h decides about a table's collection.
 *
 * Any thread, but one at a time per table, with a struct mongo of its own. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/messages/ledger.h"
#include "common/mongo/mongo.h"
#include "consumer/database_owner.h"
#include "consumer/table.h"

struct preparation {
    const struct config *config;
    struct mongo *mongo;
    const struct ledger_table *ledger; /* the newest generation */
    const struct table *table;
    const struct database_source *source; /* as the ledger tells it */
    struct ledger_cache *cache;           /* that ledger */
    rd_kafka_t *rk;                       /* asked where the log begins */
    bool preparer;                        /* this consumer owns partition 0 */
    bool patient;                         /* mongo is: steps that take long may be done */
};

enum preparation_result {
    /* mongo->answered_no: a refusal, else an outage; ERR_FATAL without a code halts the table:
     * someone has to act */
    PREPARATION_FAILED = -1,
    PREPARATION_WAITS, /* for the owner of partition 0 */
    PREPARATION_READY, /* *ret describes it; the caller puts it */
    PREPARATION_LONG,  /* the next step wants someone patient */
};
enum preparation_result preparation_run(struct table_view **ret, const struct preparation *prep,
                                        struct error *err);

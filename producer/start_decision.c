#include "producer/start_decision.h"

#include <string.h>

static struct start_decision halt_with(enum ledger_phase phase, const char *reason)
{
    return (struct start_decision){START_HALT, phase, reason};
}

static struct start_decision decide_full(int64_t program_started_ms,
                                         const struct ledger_table *known)
{
    if (known->stream_arn[0] || !known->rows)
        return (struct start_decision){.verdict = START_NEW};
    if (known->finished_ms == 0)
        return (struct start_decision){.verdict = START_RESUME};
    return (struct start_decision){
        .verdict = known->finished_ms < program_started_ms ? START_NEW : START_OVER};
}

/* A generation of sync_mode full had no stream, one of incr no rows. */
static bool lacks_a_half(enum sync_mode mode, const struct ledger_table *known)
{
    return !known->stream_arn[0] || (mode == SYNC_ALL && !known->rows);
}

static struct start_decision decide_tail(enum sync_mode mode, const struct ledger_table *known,
                                         const struct ddb_table *now)
{
    if (lacks_a_half(mode, known))
        return (struct start_decision){.verdict = START_NEW};
    if (!now->stream_enabled)
        return halt_with(PHASE_GAP, "the table's stream was disabled");
    if (strcmp(known->stream_arn, now->stream_arn) != 0)
        return halt_with(PHASE_GAP, "the table has another stream than before");
    return (struct start_decision){.verdict = START_RESUME};
}

struct start_decision start_decision_make(enum sync_mode mode, int64_t program_started_ms,
                                          const struct ledger_table *known,
                                          const struct ddb_table *now, int32_t topic_partitions)
{
    if (strcmp(now->status, "DELETING") == 0 || !now->key_schema.hash.name)
        return (struct start_decision){.verdict = START_WAIT};
    if (!known || known->generation == 0)
        return (struct start_decision){.verdict = START_NEW};
    if (known->phase == PHASE_GAP || known->phase == PHASE_PAUSED)
        return halt_with(known->phase, known->reason);
    if (strcmp(known->table_id, now->id) != 0)
        return halt_with(PHASE_GAP, "the table was deleted and made again");
    if (topic_partitions == 0)
        return halt_with(PHASE_GAP, "the data topic is gone");
    if (topic_partitions != known->partitions)
        return halt_with(
            PHASE_FAILED,
            "the data topic has another number of partitions than the ledger says");
    if (!key_schema_equal(&known->key_schema, &now->key_schema))
        return halt_with(PHASE_GAP, "the table has another key schema than before");
    return mode == SYNC_FULL ? decide_full(program_started_ms, known)
                             : decide_tail(mode, known, now);
}

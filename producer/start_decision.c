#include "producer/start_decision.h"

#include <string.h>

#include "common/base/mutation.h"

/* A description that is older than the last one lags by less. */
#define TOLD_MS 5000

static struct start_decision halt_with(enum ledger_phase phase, const char *reason)
{
    return (struct start_decision){START_HALT, phase, reason, false};
}

static struct start_decision told(const char *reason)
{
    return (struct start_decision){START_HALT, PHASE_GAP, reason, true};
}

static struct start_decision decide_full(const struct start_asked *asked)
{
    const struct ledger_table *known = asked->known;

    if (known->stream_arn[0] || !known->rows)
        return (struct start_decision){.verdict = START_NEW};
    if (known->finished_ms == 0)
        return (struct start_decision){.verdict = START_RESUME};
    return (struct start_decision){
        .verdict = known->finished_ms < asked->program_started_ms ? START_NEW : START_OVER};
}

/* A generation of sync_mode full had no stream, one of incr no rows; of one that was taken over
 * the target has them. */
static bool lacks_a_half(enum sync_mode mode, const struct ledger_table *known)
{
    return !known->stream_arn[0] || (mode == SYNC_ALL && !known->rows && !known->taken_over);
}

static struct start_decision decide_tail(const struct start_asked *asked)
{
    if (lacks_a_half(asked->mode, asked->known))
        return (struct start_decision){.verdict = START_NEW};
    if (!asked->now->stream_enabled)
        return halt_with(PHASE_GAP, "the table's stream was disabled");
    if (strcmp(asked->known->stream_arn, asked->now->stream_arn) != 0)
        return told("the table has another stream than before");
    return (struct start_decision){.verdict = START_RESUME};
}

/* Known's topic: is it what it was? START_RESUME: it is. */
static struct start_decision decide_topic(const struct start_asked *asked)
{
    if (asked->topic_partitions == 0)
        return halt_with(PHASE_GAP, START_NO_LOG);
    if (asked->is_other_log)
        return halt_with(PHASE_GAP, START_OTHER_LOG);
    if (asked->topic_partitions != asked->known->partitions)
        return halt_with(PHASE_FAILED,
                         "the data topic has another number of partitions than the ledger "
                         "says: delete the topic, then the table is copied anew");
    return (struct start_decision){.verdict = START_RESUME};
}

struct start_decision start_decision_make(const struct start_asked *asked)
{
    const struct ledger_table *known = asked->known;
    const struct ddb_table *now = asked->now;
    struct start_decision topic;

    if (strcmp(now->status, "DELETING") == 0 || !now->key_schema.hash.name)
        return (struct start_decision){.verdict = START_WAIT};
    if (!known || known->generation == 0 || start_decision_renews(known, asked->renews_gaps))
        return (struct start_decision){.verdict = START_NEW};
    if (known->phase == PHASE_GAP || known->phase == PHASE_PAUSED)
        return halt_with(known->phase, known->reason);
    if (strcmp(known->table_id, now->id) != 0)
        return told("the table was deleted and made again");
    topic = decide_topic(asked);
    if (topic.verdict == START_HALT)
        return topic;
    if (!key_schema_equal(&known->key_schema, &now->key_schema))
        return halt_with(PHASE_GAP, "the table has another key schema than before");
    return asked->mode == SYNC_FULL ? decide_full(asked) : decide_tail(asked);
}

int64_t start_decision_doubt_ms(const struct start_decision *decision, int64_t doubt_ms)
{
    return decision->is_told ? MIN(doubt_ms, TOLD_MS) : doubt_ms;
}

bool start_decision_renews(const struct ledger_table *known, bool renews_gaps)
{
    if (known->phase == PHASE_GAP && (renews_gaps || known->generation == 0))
        return true; /* before the first generation nothing was lost */
    /* also while it is gone or failed: that does not bring back what was lost */
    return known->renew && known->phase != PHASE_PAUSED && !MUTATED(renew);
}

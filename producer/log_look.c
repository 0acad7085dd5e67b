#include "producer/log_look.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/kafka/kafka_topic.h"
#include "producer/start_decision.h"

#define ENDS_MS 2000
#define DOUBT_LONGEST_MS 10000 /* for how long brokers may tell an end that is behind */

void log_look_begin(struct log_look *look, int64_t first_ms)
{
    look->at_ms = first_ms;
    doubt_clear(&look->doubt);
}

void log_look_release(struct log_look *look)
{
    free(TAKE(look->ends));
    look->generation = 0;
}

bool log_look_is_due(struct log_look *look, int64_t now_ms, int64_t pause_ms, int64_t *next_ms)
{
    if (look->at_ms > now_ms) {
        *next_ms = MIN(*next_ms, look->at_ms);
        return false;
    }
    look->at_ms = now_ms + pause_ms;
    return true;
}

/* ---- the ends that were seen ---- */

static void free_ends(int64_t **ends)
{
    free(*ends);
}

/* Of another generation: its begin stands in each partition. False: it is not known where. */
static bool know_generation(struct table_worker *w)
{
    struct log_look *look = &w->look.log;
    const struct ledger_table *t = &w->appended.committed;

    AUTO_LOCK(&w->lock);
    if (look->generation == t->generation)
        return true;
    if (!t->begin_offsets)
        return false;
    look->ends = xrealloc(look->ends, sizeof(*look->ends) * (size_t)t->partitions);
    for (int32_t p = 0; p < t->partitions; p++)
        look->ends[p] = t->begin_offsets[p] + 1;
    look->count = t->partitions;
    look->generation = t->generation;
    return true;
}

/* Takes over the ends that went on. */
static bool any_went_back(struct log_look *look, const int64_t *ends)
{
    bool any = false;

    for (int32_t p = 0; p < look->count; p++) {
        any = any || ends[p] < look->ends[p];
        look->ends[p] = MAX(look->ends[p], ends[p]);
    }
    return any;
}

/* ---- looking ---- */

static void went_back(struct table_worker *w)
{
    struct log_look *look = &w->look.log;
    int64_t doubt_ms = MIN(config_int(w->p->config, "source.doubt.ms"), DOUBT_LONGEST_MS);
    int64_t now = clock_mono_ms();

    AUTO_LOCK(&w->lock);
    if (doubt_said(&look->doubt, START_OTHER_LOG, now, doubt_ms))
        table_worker_halt_locked(w, PHASE_GAP, START_OTHER_LOG);
    look->at_ms = now + doubt_again_ms(&look->doubt, doubt_ms);
}

int64_t log_look_at_ends(struct table_worker *w)
{
    struct log_look *look = &w->look.log;
    AUTO(free_ends) int64_t *ends = NULL;
    struct error err;

    if (!know_generation(w))
        return 0;
    ends = xcalloc((size_t)look->count, sizeof(*ends));
    if (kafka_topic_end_offsets(ends, w->p->admin, w->topic, 0, look->count, ENDS_MS, &err) < 0)
        return 0;
    if (any_went_back(look, ends))
        went_back(w);
    else
        doubt_clear(&look->doubt);
    return 0;
}

#include "producer/table_start.h"

#include "common/base/clock.h"
#include "common/dynamodb/ddb_table.h"
#include "common/kafka/kafka_topic.h"
#include "common/run/log.h"
#include "producer/start_decision.h"
#include "producer/start_trouble.h"
#include "producer/table_adopt.h"
#include "producer/table_look.h"
#include "producer/table_resume.h"
#include "producer/table_topic.h"

/* ---- the source ---- */

static bool view_suffices(const char *view)
{
    return strcmp(view, "NEW_IMAGE") == 0 || strcmp(view, "NEW_AND_OLD_IMAGES") == 0;
}

static int64_t enable_stream(struct append_context *a)
{
    struct table_worker *w = a->w;
    struct error err;

    log_info("stream is being enabled", "table=%s", w->table);
    if (ddb_table_enable_stream(a->client, w->table, "NEW_AND_OLD_IMAGES", &err) < 0 &&
        ddb_client_error(a->client) != DDB_IN_USE)
        return start_trouble_retry(w, "its stream can't be enabled", &err);
    return start_trouble_soon(w);
}

bool table_start_has_stream(struct append_context *a, const struct ddb_table *desc,
                            int64_t *ret_delay)
{
    struct table_worker *w = a->w;

    *ret_delay = 0;
    if (strcmp(desc->status, "CREATING") == 0) { /* a scan would be told that it is not there */
        *ret_delay = start_trouble_soon(w);
    } else if (w->p->mode == SYNC_FULL) {
        return true;
    } else if (desc->stream_enabled && !view_suffices(desc->stream_view)) {
        AUTO(free_charp)
        char *why =
            xasprintf("its stream has the view %s, which lacks the new images: disable the "
                      "stream and enable it with NEW_AND_OLD_IMAGES (or let dynaferry do that)",
                      desc->stream_view);

        *ret_delay = start_trouble_doubt(w, PHASE_FAILED, why);
    } else if (desc->stream_enabled) {
        return desc->stream_arn[0]; /* its state is looked at when its shards are described */
    } else if (!config_bool(w->p->config, "stream.enable")) {
        *ret_delay = start_trouble_doubt(w, PHASE_FAILED,
                                         "it has no stream, and stream.enable is false");
    } else {
        *ret_delay =
            strcmp(desc->status, "ACTIVE") == 0 ? enable_stream(a) : start_trouble_soon(w);
    }
    return false;
}

/* The source says that there is no such table: who has just listed it says so too. */
static int64_t not_found(struct append_context *a)
{
    struct table_worker *w = a->w;
    static const char reason[] = "the table does not exist";
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");
    struct error err;
    int listed = 0;

    if (doubt_is_on(&w->start) || w->known.phase == PHASE_GONE)
        listed = table_look_is_listed(a, &err);
    if (listed < 0)
        return start_trouble_retry(w, "the tables can't be listed", &err);
    if (!listed)
        return start_trouble_doubt(w, PHASE_GONE, reason);
    doubt_clear(&w->start);
    error_set(&err, ERR_RETRY, "it is listed, and DescribeTable does not know it");
    table_worker_trouble(w, "it can't start", &err);
    return doubt_again_ms(&w->start, doubt_ms);
}

static int64_t stand_still(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    table_worker_set_state(w, WORKER_HALTED);
    return 0;
}

/* ---- the decision ---- */

/* With as many partitions as before it is looked into when the table goes on. */
static int look_at_topic(struct table_worker *w, bool *ret_other, struct error *err)
{
    bool is_same = true;

    if (kafka_topic_partition_count(&w->partitions, w->p->admin, w->topic, err) < 0)
        return -1;
    if (w->known.generation > 0 && w->partitions > 0 && w->partitions != w->known.partitions &&
        table_topic_is_same_log(w, &is_same, NULL, err) < 0)
        return -1;
    *ret_other = !is_same;
    return 0;
}

static int64_t decide(struct append_context *a, const struct ddb_table *desc, bool other_log)
{
    struct table_worker *w = a->w;
    const struct start_asked asked = {.mode = w->p->mode,
                                      .renews_gaps = w->p->renews_gaps,
                                      .program_started_ms = w->p->started_ms,
                                      .known = &w->known,
                                      .now = desc,
                                      .topic_partitions = w->partitions,
                                      .is_other_log = other_log};
    struct start_decision d = start_decision_make(&asked);
    struct error err = {0};
    int64_t wait;

    switch (d.verdict) {
    case START_HALT:
        return start_trouble_halt(w, &d);
    case START_NEW:
        return table_start_has_stream(a, desc, &wait) ? table_adopt(a, desc) : wait;
    case START_RESUME:
        return table_resume(w);
    case START_OVER:
        return stand_still(w);
    default:
        error_set(&err, ERR_RETRY, "it is %s", desc->status);
        return start_trouble_retry(w, "it can't start", &err);
    }
}

void table_start_note_known(struct table_worker *w)
{
    AUTO_LOCK(&w->lock);
    ledger_table_release(&w->known);
    ledger_table_copy(&w->known, &w->appended.committed);
}

/* Whatever the source says: until a person acts. */
static bool stays_halted(const struct table_worker *w)
{
    const struct ledger_table *t = &w->known;

    return t->phase == PHASE_PAUSED ||
           (t->phase == PHASE_GAP && !start_decision_renews(t, w->p->renews_gaps));
}

int64_t table_start(struct append_context *a)
{
    struct table_worker *w = a->w;
    AUTO(ddb_table_freep) struct ddb_table *desc = NULL;
    struct error err;
    bool other_log;
    int64_t delay;

    table_start_note_known(w);
    if (stays_halted(w))
        return stand_still(w);
    if (ddb_table_describe(&desc, a->client, w->table, &err) < 0)
        return ddb_client_error(a->client) == DDB_NOT_FOUND
                   ? not_found(a)
                   : start_trouble_retry(w, "the table can't be described", &err);
    if (look_at_topic(w, &other_log, &err) < 0)
        return start_trouble_retry(w, "its topic can't be looked at", &err);
    w->read_capacity = desc->read_capacity;
    delay = decide(a, desc, other_log);
    if (w->state != WORKER_STARTING) { /* only this step leaves it */
        w->start_tries = 0;
        doubt_clear(&w->start);
    }
    return delay;
}

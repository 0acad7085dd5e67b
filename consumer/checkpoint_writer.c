#include "consumer/checkpoint_writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/metrics.h"

#define COMPARE_MS 30000
#define RETRY_FIRST_MS 10000
#define RETRY_MOST_MS (10 * 60 * 1000)
#define NAME_SIZE 256

struct failures { /* of a round */
    int count;
    bool silent; /* MongoDB does not answer */
    char collection[NAME_SIZE];
    struct error err; /* the first one's */
};

struct checkpoint_writer {
    struct mongo *mongo;
    const char *mark;
    struct metric *stale;
    int64_t clean_ms;
    int64_t retry_ms;
    struct backoff backoff;
    struct failures failures;
    int failing; /* collections: their last write has failed */
    int failing_before;
    int foreign;
    int foreign_before;
    char new_foreign[NAME_SIZE]; /* the last one that was found to be */
};

struct checkpoint_writer *checkpoint_writer_new(const struct mongo_target *target,
                                                const char *mark)
{
    struct checkpoint_writer *w = xcalloc(1, sizeof(*w));

    w->mongo = mongo_new(target);
    w->mark = mark;
    w->stale = metric_get(METRIC_GAUGE, "dynaferry_consumer_checkpoints_stale",
                          "Collections of checkpoint.db that are not kept up to date: refused, "
                          "or another's.",
                          "");
    backoff_init(&w->backoff, RETRY_FIRST_MS, RETRY_MOST_MS, NULL, NULL);
    return w;
}

void checkpoint_writer_free(struct checkpoint_writer *w)
{
    if (!w)
        return;
    mongo_free(w->mongo);
    metric_remove(w->stale);
    free(w);
}

/* ---- a collection ---- */

static void count(struct checkpoint_writer *w, enum checkpoint_outcome outcome, int n)
{
    w->failing += outcome == CHECKPOINT_FAILED ? n : 0;
    w->foreign += outcome == CHECKPOINT_FOREIGN ? n : 0;
}

static void become(struct checkpoint_writer *w, struct checkpoint_shown *shown,
                   enum checkpoint_outcome outcome)
{
    if (outcome == CHECKPOINT_FOREIGN && shown->outcome != outcome)
        snprintf(w->new_foreign, sizeof(w->new_foreign), "%s", shown->name);
    count(w, shown->outcome, -1);
    count(w, outcome, 1);
    shown->outcome = outcome;
}

static void note_failure(struct checkpoint_writer *w, const char *collection,
                         const struct error *err)
{
    w->failures.silent = !w->mongo->answered_no;
    if (w->failures.count++ > 0)
        return;
    snprintf(w->failures.collection, sizeof(w->failures.collection), "%s", collection);
    w->failures.err = *err;
}

void checkpoint_writer_show(struct checkpoint_writer *w, struct checkpoint_shown *shown,
                            bson_t *const *docs, size_t doc_count)
{
    const struct checkpoint_collection c = {shown->name, w->mark, docs, doc_count};
    bool failed = shown->outcome == CHECKPOINT_FAILED;
    struct error err;

    if (clock_mono_ms() < (failed ? w->retry_ms : shown->compare_ms))
        return;
    become(w, shown, checkpoint_store_put(w->mongo, &c, &err));
    shown->compare_ms = clock_mono_ms() + COMPARE_MS;
    if (shown->outcome == CHECKPOINT_FAILED)
        note_failure(w, shown->name, &err);
}

void checkpoint_writer_leave(struct checkpoint_writer *w, struct checkpoint_shown *shown)
{
    become(w, shown, CHECKPOINT_FOREIGN);
}

void checkpoint_writer_forget(struct checkpoint_writer *w, struct checkpoint_shown *shown)
{
    become(w, shown, CHECKPOINT_HELD);
    shown->compare_ms = 0;
}

void checkpoint_writer_clean(struct checkpoint_writer *w, bool soon,
                             bool (*wanted)(void *arg, const char *collection), void *arg)
{
    int64_t now = clock_mono_ms();
    struct error err;

    if (now < w->retry_ms || (now < w->clean_ms && !soon))
        return;
    w->clean_ms = now + COMPARE_MS;
    if (checkpoint_store_clean(w->mongo, w->mark, wanted, arg, &err) < 0)
        note_failure(w, "", &err);
}

/* ---- a round ---- */

bool checkpoint_writer_round_begins(struct checkpoint_writer *w)
{
    if (w->failures.silent && clock_mono_ms() < w->retry_ms)
        return false;
    w->failures = (struct failures){0};
    return true;
}

bool checkpoint_writer_round_is_over(const struct checkpoint_writer *w)
{
    return w->failures.silent;
}

static const char *database(const struct checkpoint_writer *w)
{
    return w->mongo->target->database;
}

static void tell_failures(struct checkpoint_writer *w)
{
    int64_t delay_ms;

    if (w->failures.count == 0) {
        if (clock_mono_ms() >= w->retry_ms)
            backoff_reset(&w->backoff);
        return;
    }
    delay_ms = backoff_next_ms(&w->backoff);
    w->retry_ms = clock_mono_ms() + delay_ms;
    log_warn("checkpoints not written",
             "database=%s collection=%s collections=%d retry_ms=%" PRId64 " reason=%s",
             database(w), w->failures.collection, w->failures.count, delay_ms,
             w->failures.err.message);
}

/* They are the user's to move. */
static void tell_foreign(const struct checkpoint_writer *w)
{
    if (w->foreign > w->foreign_before)
        log_warn("checkpoints left alone: a collection is another's",
                 "database=%s collection=%s collections=%d reason=%s", database(w),
                 w->new_foreign, w->foreign,
                 "it holds documents that are not dynaferry's: have NimoShake's moved aside "
                 "(dynaferry-producer --take-over-nimoshake), drop them, or set another "
                 "checkpoint.db");
}

void checkpoint_writer_round_ends(struct checkpoint_writer *w)
{
    tell_failures(w);
    tell_foreign(w);
    if (w->failing_before > 0 && w->failing == 0)
        log_info("checkpoints are written again", "database=%s", database(w));
    w->failing_before = w->failing;
    w->foreign_before = w->foreign;
    metric_set(w->stale, w->failing + w->foreign);
}

void checkpoint_writer_hand_over(struct checkpoint_writer *w)
{
    w->failures = (struct failures){0};
    w->failing_before = w->foreign_before = 0;
    w->clean_ms = w->retry_ms = 0;
    backoff_reset(&w->backoff);
    metric_set(w->stale, 0);
}

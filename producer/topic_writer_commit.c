/* The end of a transaction: when it is due, its commit or abort, and who is told. */
#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "producer/topic_writer_internal.h"
#include "producer/transactional_handle.h"

#define CALL_TIMEOUT_MS 15000
#define FLUSH_SLICE_MS 200 /* what failed meanwhile is not waited for any longer */
#define IDLE_LINGER_MS 3

/* ---- outcomes of transactional calls ---- */

void writer_set_state(struct topic_writer *w, enum topic_writer_state state)
{
    AUTO_LOCK(&w->lock);
    if (w->state == WRITER_OPEN)
        w->state = state;
    pthread_cond_broadcast(&w->changed);
}

static void writer_lost(struct topic_writer *w, rd_kafka_resp_err_t code, const char *what,
                        const char *text)
{
    bool fenced = transactional_handle_is_fenced(w->rk, code);

    log_warn(fenced ? "producer was fenced" : "producer handle is given up",
             "ledger_partition=%" PRId32 " call=%s reason=%s", w->ledger_partition, what, text);
    writer_set_state(w, fenced ? WRITER_FENCED : WRITER_BROKEN);
}

/* ---- commit and abort: under the exclusive gate ---- */

enum outcome {
    OUTCOME_DONE,
    OUTCOME_ABORT,
    OUTCOME_LOST
};

static enum outcome outcome_of(struct topic_writer *w, rd_kafka_error_t *error,
                               const char *what)
{
    enum outcome outcome = OUTCOME_LOST;

    if (!error)
        return OUTCOME_DONE;
    if (rd_kafka_error_txn_requires_abort(error))
        outcome = OUTCOME_ABORT;
    else
        writer_lost(w, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
    if (outcome == OUTCOME_ABORT)
        log_warn("transaction will be aborted",
                 "ledger_partition=%" PRId32 " call=%s reason=%s", w->ledger_partition, what,
                 rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return outcome;
}

static bool has_failed(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->must_abort;
}

static enum outcome commit_call(struct topic_writer *w)
{
    int64_t end = clock_mono_ms() + CALL_TIMEOUT_MS;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;

    while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !has_failed(w) && clock_mono_ms() < end)
        code = rd_kafka_flush(w->rk, FLUSH_SLICE_MS);
    if (has_failed(w)) {
        rd_kafka_flush(w->rk, FLUSH_SLICE_MS); /* other batches under way may be refused too */
        return OUTCOME_ABORT;
    }
    if (code && code != RD_KAFKA_RESP_ERR__TIMED_OUT)
        return OUTCOME_ABORT;
    /* a timeout here leaves the outcome unknown: the handle is given up, never "aborted"
     * assumed */
    return outcome_of(w, rd_kafka_commit_transaction(w->rk, CALL_TIMEOUT_MS), "commit");
}

static void transaction_over(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->in_transaction = false;
    w->oldest_ms = 0;
    w->hurry = false;
    w->must_abort = false;
    w->refused = false;
    w->failure = (struct failure){0};
    w->last_commit_ms = clock_mono_ms();
}

static struct topic_writer_member *members_of(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->members;
}

static void tell_committed(struct topic_writer *w)
{
    metric_add(w->commits, 1);
    for (struct topic_writer_member *m = members_of(w); m; m = m->next)
        m->committed(m->arg);
}

static void tell_aborted(struct topic_writer *w, const struct failure *failure)
{
    metric_add(w->aborts, 1);
    for (struct topic_writer_member *m = members_of(w); m; m = m->next) {
        if (failure->stops)
            m->topic_failed(m->arg, failure->topic, failure->reason);
        m->aborted(m->arg);
    }
}

static void abort_transaction(struct topic_writer *w)
{
    struct failure failure;
    bool refused;

    pthread_mutex_lock(&w->lock);
    failure = w->failure;
    refused = w->refused;
    pthread_mutex_unlock(&w->lock);
    log_warn("transaction is aborted", "ledger_partition=%" PRId32 " topic=%s reason=%s",
             w->ledger_partition, failure.topic, failure.reason);
    if (outcome_of(w, rd_kafka_abort_transaction(w->rk, CALL_TIMEOUT_MS), "abort") !=
        OUTCOME_DONE) {
        writer_set_state(w, WRITER_BROKEN);
        return;
    }
    tell_aborted(w, &failure);
    transaction_over(w);
    if (!refused)
        return;
    log_warn("records were refused", "ledger_partition=%" PRId32 " topic=%s alone=%s reason=%s",
             w->ledger_partition, failure.topic, w->alone ? "true" : "false", failure.reason);
    writer_set_state(w, WRITER_BROKEN);
}

void writer_finish_transaction(struct topic_writer *w)
{
    bool open;

    pthread_mutex_lock(&w->lock);
    open = w->in_transaction && w->state == WRITER_OPEN;
    pthread_mutex_unlock(&w->lock);
    if (open) {
        switch (commit_call(w)) {
        case OUTCOME_DONE:
            tell_committed(w);
            transaction_over(w);
            break;
        case OUTCOME_ABORT:
            abort_transaction(w);
            break;
        case OUTCOME_LOST:
            break;
        }
    }
}

/* ---- the committer ---- */

/* When the open transaction is to be committed; INT64_MAX: nothing is open. Soon when idle,
 * under load an interval after the last commit, since a commit stalls the handle. */
static int64_t commit_due_ms(const struct topic_writer *w)
{
    if (w->state != WRITER_OPEN || !w->in_transaction)
        return INT64_MAX;
    if (w->must_abort || w->hurry)
        return 0;
    if (w->oldest_ms == 0)
        return INT64_MAX;
    return MAX(w->oldest_ms + IDLE_LINGER_MS, w->last_commit_ms + w->interval_ms);
}

void *writer_committer_loop(void *arg)
{
    struct topic_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        int64_t due = commit_due_ms(w);

        if (due <= clock_mono_ms()) {
            pthread_mutex_unlock(&w->lock);
            pthread_rwlock_wrlock(&w->gate);
            writer_finish_transaction(w);
            pthread_rwlock_unlock(&w->gate);
            pthread_mutex_lock(&w->lock);
        } else if (due == INT64_MAX) {
            pthread_cond_wait(&w->changed, &w->lock);
        } else {
            clock_cond_wait(&w->changed, &w->lock, due);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

#include "producer/topic_writer_commit.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "producer/topic_writer_gate.h"
#include "producer/topic_writer_outcome.h"
#include "producer/transactional_handle.h"

#define CALL_TIMEOUT_MS 15000
#define FLUSH_SLICE_MS 200  /* how soon a failure ends a flush */
#define DRAIN_STALL_MS 1000 /* without a report, of a transaction that has failed */

/* ---- what a transactional call's answer allows ---- */

enum outcome {
    OUTCOME_DONE,
    OUTCOME_ABORT,
    OUTCOME_LOST /* the handle can't be used any more */
};

static void handle_lost(struct topic_writer *writer, rd_kafka_resp_err_t code, const char *what,
                        const char *text)
{
    bool fenced = transactional_handle_is_fenced(writer->rk, code);

    log_warn(fenced ? "producer fenced" : "producer handle given up",
             "ledger_partition=%" PRId32 " call=%s reason=%s", writer->ledger_partition, what,
             text);
    topic_writer_core_set_state(writer, fenced ? WRITER_FENCED : WRITER_BROKEN);
}

static enum outcome outcome_of(struct topic_writer *writer, rd_kafka_error_t *error,
                               const char *what)
{
    enum outcome outcome = OUTCOME_LOST;

    if (!error)
        return OUTCOME_DONE;
    if (rd_kafka_error_txn_requires_abort(error)) {
        outcome = OUTCOME_ABORT;
        log_warn("transaction will be aborted",
                 "ledger_partition=%" PRId32 " call=%s reason=%s", writer->ledger_partition,
                 what, rd_kafka_error_string(error));
    } else {
        handle_lost(writer, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
    }
    rd_kafka_error_destroy(error);
    return outcome;
}

static void transaction_over(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    atomic_store(&writer->began, false);
    writer->oldest_ms = 0;
    writer->commit_soon = false;
    writer->trouble = (struct trouble){0};
    writer->last_commit_ms = clock_mono_ms();
}

/* ---- commit: under the exclusive gate ---- */

static bool has_failed(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    return writer->trouble.must_abort;
}

/* Waits until everything is reported (0), or nothing was for stall_ms (_TIMED_OUT). fail_fast:
 * or until something has failed (0). */
static rd_kafka_resp_err_t flush(struct topic_writer *writer, int64_t stall_ms, bool fail_fast)
{
    uint64_t reports = atomic_load(&writer->reports);
    int64_t since = clock_mono_ms();
    rd_kafka_resp_err_t code;

    while ((code = rd_kafka_flush(writer->rk, FLUSH_SLICE_MS)) ==
           RD_KAFKA_RESP_ERR__TIMED_OUT) {
        if (fail_fast && has_failed(writer))
            return 0;
        if (atomic_load(&writer->reports) != reports) {
            reports = atomic_load(&writer->reports);
            since = clock_mono_ms();
        } else if (clock_mono_ms() - since >= stall_ms) {
            return code;
        }
    }
    return code;
}

static enum outcome commit_call(struct topic_writer *writer)
{
    rd_kafka_resp_err_t code = flush(writer, writer->stall_ms, true);

    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        topic_writer_core_note_stall(writer, "");
    if (code || has_failed(writer))
        return OUTCOME_ABORT;
    /* After a timeout the outcome is unknown: the handle is given up, no abort is assumed. */
    return outcome_of(writer, rd_kafka_commit_transaction(writer->rk, CALL_TIMEOUT_MS),
                      "commit");
}

/* ---- abort: under the exclusive gate ---- */

/* librdkafka sends nothing more of this transaction. */
static bool is_stuck(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    return writer->trouble.stalled || writer->trouble.kafka_failed;
}

/* What is under way may be refused as well, and records that are not sent would leave a hole in
 * the numbers that the broker expects. */
static void drain(struct topic_writer *writer)
{
    if (!is_stuck(writer))
        flush(writer, DRAIN_STALL_MS, false);
}

/* Why librdkafka itself gave the transaction up: any further call fails with the reason. */
static void ask_reason(struct topic_writer *writer, struct trouble *trouble)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(writer->rk);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);

    trouble->out_of_order = code == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    snprintf(trouble->reason, sizeof(trouble->reason), "%s",
             code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
                 ? "no right to write to it"
                 : rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

static void trouble_read(struct trouble *ret, struct topic_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    *ret = writer->trouble;
    pthread_mutex_unlock(&writer->lock);
    if (ret->kafka_failed && !ret->is_set)
        ask_reason(writer, ret);
}

/* What hangs may only be late, and the broker would then take it into this handle's next
 * transaction. Of a handle with an older epoch it takes nothing. */
static enum outcome give_up(struct topic_writer *writer)
{
    rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    log_warn("producer handle given up", "ledger_partition=%" PRId32 " reason=%s",
             writer->ledger_partition, "what Kafka does not take may come late");
    return OUTCOME_LOST;
}

/* librdkafka's own abort drops what was not sent, and waits for what is under way. */
static enum outcome abort_call(struct topic_writer *writer, bool stalled)
{
    if (!atomic_load(&writer->began)) /* a member failed before its first append */
        return OUTCOME_DONE;
    pthread_mutex_lock(&writer->lock);
    writer->trouble.purged = true;
    pthread_mutex_unlock(&writer->lock);
    if (stalled)
        return give_up(writer);
    return outcome_of(writer, rd_kafka_abort_transaction(writer->rk, CALL_TIMEOUT_MS), "abort");
}

static void records_refused(struct topic_writer *writer, const struct trouble *trouble)
{
    log_warn("records refused", "ledger_partition=%" PRId32 " topic=%s alone=%s reason=%s",
             writer->ledger_partition, trouble->topic, writer->alone ? "true" : "false",
             trouble->reason);
    atomic_store(&writer->was_of_use, true);
    topic_writer_core_set_state(writer, WRITER_BROKEN);
}

static void abort_transaction(struct topic_writer *writer)
{
    struct trouble trouble;
    bool rolled_back;

    drain(writer);
    trouble_read(&trouble, writer);
    log_warn("transaction aborted", "ledger_partition=%" PRId32 " topic=%s reason=%s",
             writer->ledger_partition, trouble.topic, trouble.reason);
    rolled_back = abort_call(writer, trouble.stalled) == OUTCOME_DONE;
    topic_writer_outcome_aborted(writer, &trouble, rolled_back);
    if (!rolled_back) {
        topic_writer_core_set_state(writer, WRITER_BROKEN);
        return;
    }
    transaction_over(writer);
    if (trouble.refused)
        records_refused(writer, &trouble);
}

void topic_writer_commit_finish(struct topic_writer *writer)
{
    bool open;

    pthread_mutex_lock(&writer->lock);
    open = writer->state == WRITER_OPEN &&
           (atomic_load(&writer->began) || writer->trouble.must_abort);
    pthread_mutex_unlock(&writer->lock);
    if (!open)
        return;
    switch (has_failed(writer) ? OUTCOME_ABORT : commit_call(writer)) {
    case OUTCOME_DONE:
        topic_writer_outcome_committed(writer);
        transaction_over(writer);
        break;
    case OUTCOME_ABORT:
        abort_transaction(writer);
        break;
    case OUTCOME_LOST:
        break;
    }
}

/* ---- the committer ---- */

void topic_writer_commit_soon(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    writer->commit_soon = true;
    pthread_cond_broadcast(&writer->changed);
}

/* Under lock. When the open transaction is to be committed; INT64_MAX: none is open. That of a
 * suspect is due at once, since others wait for its end. */
static int64_t commit_due_ms(const struct topic_writer *writer)
{
    if (writer->state != WRITER_OPEN)
        return INT64_MAX;
    if (writer->trouble.must_abort)
        return 0;
    if (!atomic_load(&writer->began) || writer->oldest_ms == 0)
        return INT64_MAX;
    if (writer->commit_soon || trust_is_alone(writer->trust))
        return 0;
    return commit_pace_due_ms(&writer->pace, writer->oldest_ms, writer->last_commit_ms,
                              atomic_load(&writer->bytes), atomic_load(&writer->records));
}

/* A commit costs the appenders the time for which they can't enter. */
static void finish(struct topic_writer *writer)
{
    topic_writer_gate_close(writer);
    topic_writer_commit_finish(writer);
    commit_pace_measured(&writer->pace, (clock_mono_ms() - writer->closed_ms) * 1000);
    topic_writer_gate_open(writer);
}

/* Under lock. Waits until at_ms, or until something has changed. */
static void wait_until(struct topic_writer *writer, int64_t at_ms)
{
    if (at_ms == INT64_MAX)
        pthread_cond_wait(&writer->changed, &writer->lock);
    else
        clock_cond_wait(&writer->changed, &writer->lock, at_ms);
}

void *topic_writer_commit_loop(void *arg)
{
    struct topic_writer *writer = arg;

    pthread_mutex_lock(&writer->lock);
    while (!writer->stopping) {
        int64_t due = commit_due_ms(writer);
        int64_t turn =
            writer->state == WRITER_OPEN ? trust_turn_ends_ms(writer->trust) : INT64_MAX;

        if (due <= clock_mono_ms()) {
            pthread_mutex_unlock(&writer->lock);
            finish(writer);
            pthread_mutex_lock(&writer->lock);
        } else if (turn <= clock_mono_ms()) {
            topic_writer_gate_end_turn(writer);
        } else {
            wait_until(writer, MIN(due, turn));
        }
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* The end of a transaction: when it is due, its commit or abort, who is at fault, who is told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "producer/topic_writer_internal.h"
#include "producer/transactional_handle.h"

#define CALL_TIMEOUT_MS 15000
#define FLUSH_SLICE_MS 200  /* what failed meanwhile is not waited for any longer */
#define DRAIN_STALL_MS 1000 /* likewise, of a transaction that has failed */

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

/* ---- the members in a transaction ---- */

struct present { /* who entered since the last commit or abort; they stay until told */
    struct writer_account **accounts;
    struct trust_evidence *evidence; /* of those that had appended, in this order */
    struct writer_account **appended;
    size_t count;
    size_t appended_count;
};

static long undelivered(struct writer_account *a, enum record_kind kind)
{
    return atomic_load(&a->appended[kind]) - atomic_load(&a->delivered[kind]);
}

/* Records of the ledger say nothing of a member's own topics. */
static bool has_appended(struct writer_account *a)
{
    return atomic_load(&a->appended[RECORD_DATA]) > 0 ||
           atomic_load(&a->appended[RECORD_DEAD_LETTER]) > 0;
}

/* Under the exclusive gate; nobody leaves until present_end, unless in a callback. */
static void present_begin(struct present *p, struct topic_writer *w)
{
    *p = (struct present){0};
    AUTO_LOCK(&w->lock);
    w->telling = true;
    w->teller = pthread_self();
    for (struct writer_account *a = w->present; a; a = a->next_present)
        p->count++;
    p->accounts = xcalloc(p->count + 1, sizeof(*p->accounts));
    p->appended = xcalloc(p->count + 1, sizeof(*p->appended));
    p->count = 0;
    for (struct writer_account *a = w->present; a; a = a->next_present) {
        p->accounts[p->count++] = a;
        if (a->trust && has_appended(a))
            p->appended[p->appended_count++] = a;
    }
}

static void account_reset(struct writer_account *a)
{
    for (int kind = 0; kind < RECORD_KINDS; kind++) {
        atomic_store(&a->appended[kind], 0);
        atomic_store(&a->delivered[kind], 0);
    }
    a->is_present = false;
    a->named.is_set = false;
    a->loss.is_set = false;
}

static void present_end(struct present *p, struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    for (size_t i = 0; i < p->count; i++)
        account_reset(p->accounts[i]);
    account_reset(w->nobody);
    w->present = NULL;
    w->telling = false;
    pthread_cond_broadcast(&w->changed);
    free(p->accounts);
    free(p->appended);
    free(p->evidence);
}

static void transaction_over(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    atomic_store(&w->began, false);
    w->oldest_ms = 0;
    w->hurry = false;
    w->trouble = (struct trouble){0};
    w->last_commit_ms = clock_mono_ms();
}

/* ---- commit: under the exclusive gate ---- */

static bool has_failed(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->trouble.must_abort;
}

/* Until all is reported, or nothing was for stall_ms: 0, or _TIMED_OUT. *fail_fast: no longer
 * than until something has failed. */
static rd_kafka_resp_err_t flush(struct topic_writer *w, int64_t stall_ms, bool fail_fast)
{
    uint64_t reports = atomic_load(&w->reports);
    int64_t since = clock_mono_ms();
    rd_kafka_resp_err_t code;

    while ((code = rd_kafka_flush(w->rk, FLUSH_SLICE_MS)) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        if (fail_fast && has_failed(w))
            return 0;
        if (atomic_load(&w->reports) != reports) {
            reports = atomic_load(&w->reports);
            since = clock_mono_ms();
        } else if (clock_mono_ms() - since >= stall_ms) {
            return code;
        }
    }
    return code;
}

static void note_stall(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->trouble.stalled = w->trouble.kafka_failed = true;
    writer_note(w, "", false, "Kafka does not take its records");
}

static enum outcome commit_call(struct topic_writer *w)
{
    rd_kafka_resp_err_t code = flush(w, w->stall_ms, true);

    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        note_stall(w);
    if (code || has_failed(w))
        return OUTCOME_ABORT;
    /* a timeout here leaves the outcome unknown: the handle is given up, never "aborted"
     * assumed */
    return outcome_of(w, rd_kafka_commit_transaction(w->rk, CALL_TIMEOUT_MS), "commit");
}

static void tell_free_again(struct topic_writer *w, struct writer_account *a)
{
    struct topic_writer_member *m = a->member;

    if (!m) /* it has left in another's callback */
        return;
    log_info("table is free again", "table=%s topic=%s ledger_partition=%" PRId32, m->table,
             m->topic, w->ledger_partition);
    if (m->free_again)
        m->free_again(m->arg);
}

static void tell_committed(struct topic_writer *w)
{
    struct topic_writer_member *m;
    struct present p;

    metric_add(w->commits, 1);
    atomic_store(&w->was_of_use, true);
    present_begin(&p, w);
    for (size_t i = 0; i < p.appended_count; i++)
        if (trust_committed(w->trust, p.appended[i]->trust))
            tell_free_again(w, p.appended[i]);
    trust_all_committed(w->trust);
    for (size_t i = 0; i < p.count; i++)
        if ((m = p.accounts[i]->member))
            m->committed(m->arg);
    present_end(&p, w);
}

/* ---- who is at fault ---- */

/* The reason of a transaction that librdkafka itself gave up: whoever asks for anything else is
 * told. */
static void ask_reason(struct topic_writer *w, struct trouble *t)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(w->rk);

    snprintf(t->reason, sizeof(t->reason), "%s", rd_kafka_error_string(error));
    t->out_of_order =
        rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        snprintf(t->reason, sizeof(t->reason), "no right to write to it");
    rd_kafka_error_destroy(error);
}

/* Dead letters are rare: where they are missing too, they are likely the cause. */
static const char *missing_topic(struct topic_writer *w, struct writer_account *a)
{
    if (undelivered(a, RECORD_DEAD_LETTER) > 0)
        return w->dead_letter_topic;
    return a->member->topic;
}

/* What Kafka had not taken when the transaction was given up. */
static void gather(struct present *p, struct topic_writer *w, const struct trouble *t)
{
    p->evidence = xcalloc(p->appended_count + 1, sizeof(*p->evidence));
    for (size_t i = 0; i < p->appended_count; i++) {
        struct writer_account *a = p->appended[i];

        p->evidence[i] = (struct trust_evidence){
            .member = a->trust,
            .named = a->named.is_set,
            .undelivered =
                undelivered(a, RECORD_DATA) > 0 || undelivered(a, RECORD_DEAD_LETTER) > 0,
            .topic = a->named.is_set ? a->named.topic : missing_topic(w, a),
            .reason = a->named.is_set ? a->named.reason : t->reason,
        };
    }
}

static void tell_held(struct topic_writer *w, struct writer_account *a,
                      const struct trust_evidence *e)
{
    struct topic_writer_member *m = a->member;

    if (!m)
        return;
    log_warn("table is held", "table=%s topic=%s ledger_partition=%" PRId32 " reason=%s",
             m->table, e->topic, w->ledger_partition, e->reason);
    if (m->held)
        m->held(m->arg, e->topic, e->reason);
}

static void judge(struct present *p, struct topic_writer *w, int64_t spent_ms)
{
    struct trust_verdict *verdicts = xcalloc(p->appended_count + 1, sizeof(*verdicts));

    trust_aborted(w->trust, p->evidence, p->appended_count, verdicts, spent_ms,
                  clock_mono_ms());
    for (size_t i = 0; i < p->appended_count; i++) {
        p->appended[i]->numbers_lost = p->evidence[i].undelivered;
        if (verdicts[i].is_news)
            tell_held(w, p->appended[i], &p->evidence[i]);
    }
    free(verdicts);
}

/* librdkafka goes on counting behind records that were refused, and mends that in the next
 * transaction, which it gives up for it: once, nobody's fault. */
static bool is_aftermath(struct present *p, const struct trouble *t)
{
    bool any = false;

    for (size_t i = 0; i < p->appended_count && t->out_of_order; i++) {
        any = any || p->appended[i]->numbers_lost;
        p->appended[i]->numbers_lost = false;
    }
    return any;
}

/* ---- abort: under the exclusive gate ---- */

/* Each callback may be the one that the member leaves in. */
static void tell_one_aborted(struct writer_account *a, const struct trouble *t)
{
    struct topic_writer_member *m = a->member;

    if (m && a->loss.is_set && m->log_lost)
        m->log_lost(m->arg, a->loss.partition, a->loss.offset, a->loss.before);
    if ((m = a->member) && t->stops)
        m->topic_failed(m->arg, t->topic, t->reason);
    if ((m = a->member))
        m->aborted(m->arg);
}

static void tell_aborted(struct topic_writer *w, const struct present *p,
                         const struct trouble *t)
{
    metric_add(w->aborts, 1);
    for (size_t i = 0; i < p->count; i++)
        tell_one_aborted(p->accounts[i], t);
}

/* librdkafka sends nothing more of this transaction. */
static bool is_stuck(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->trouble.stalled || w->trouble.kafka_failed;
}

/* What is under way may be refused too, and what was not sent would leave a hole in the numbers
 * that the broker waits for. */
static void drain(struct topic_writer *w)
{
    if (!is_stuck(w))
        flush(w, DRAIN_STALL_MS, false);
}

static struct trouble trouble_of(struct topic_writer *w)
{
    struct trouble t;

    pthread_mutex_lock(&w->lock);
    t = w->trouble;
    pthread_mutex_unlock(&w->lock);
    if (t.kafka_failed && !t.is_set)
        ask_reason(w, &t);
    return t;
}

/* What hangs may only be late: it would be taken into the next transaction of this handle. A
 * new handle's epoch is a later one, so nothing of this one is taken any more. */
static enum outcome give_up(struct topic_writer *w)
{
    rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    log_warn("producer handle is given up", "ledger_partition=%" PRId32 " reason=%s",
             w->ledger_partition, "what Kafka does not take may come late");
    return OUTCOME_LOST;
}

/* librdkafka's own abort drops what was not sent, and waits for what is under way. */
static enum outcome abort_call(struct topic_writer *w, bool stalled)
{
    if (!atomic_load(&w->began)) /* who entered failed before its first append */
        return OUTCOME_DONE;
    pthread_mutex_lock(&w->lock);
    w->trouble.purged = true;
    pthread_mutex_unlock(&w->lock);
    if (stalled)
        return give_up(w);
    return outcome_of(w, rd_kafka_abort_transaction(w->rk, CALL_TIMEOUT_MS), "abort");
}

/* Not for what a batch was refused for, nor for a caller's own trouble. */
static void find_fault(struct present *p, struct topic_writer *w, const struct trouble *t)
{
    bool of_kafka = t->kafka_failed && !t->refused && !t->has_loss && !is_aftermath(p, t);

    if (t->ledger_failed || (of_kafka && p->appended_count == 0))
        trust_rest(w->trust, clock_mono_ms());
    else if (of_kafka)
        judge(p, w, clock_mono_ms() - w->closed_ms);
}

static void handle_is_over(struct topic_writer *w, const struct trouble *t)
{
    log_warn("records were refused", "ledger_partition=%" PRId32 " topic=%s alone=%s reason=%s",
             w->ledger_partition, t->topic, w->alone ? "true" : "false", t->reason);
    atomic_store(&w->was_of_use, true);
    writer_set_state(w, WRITER_BROKEN);
}

static void abort_transaction(struct topic_writer *w)
{
    enum outcome outcome;
    struct present p;
    struct trouble t;

    drain(w);
    t = trouble_of(w);
    log_warn("transaction is aborted", "ledger_partition=%" PRId32 " topic=%s reason=%s",
             w->ledger_partition, t.topic, t.reason);
    outcome = abort_call(w, t.stalled);
    present_begin(&p, w);
    gather(&p, w, &t);
    find_fault(&p, w, &t);
    if (outcome == OUTCOME_DONE) {
        tell_aborted(w, &p, &t);
        transaction_over(w);
        if (t.refused)
            handle_is_over(w, &t);
    } else {
        writer_set_state(w, WRITER_BROKEN);
    }
    present_end(&p, w);
}

void writer_finish_transaction(struct topic_writer *w)
{
    bool open;

    pthread_mutex_lock(&w->lock);
    open = w->state == WRITER_OPEN && (atomic_load(&w->began) || w->trouble.must_abort);
    pthread_mutex_unlock(&w->lock);
    if (!open)
        return;
    switch (has_failed(w) ? OUTCOME_ABORT : commit_call(w)) {
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

/* ---- the committer ---- */

/* When the open transaction is to be committed; INT64_MAX: nothing is open. That of a suspect
 * at once: others wait for its end. Under lock. */
static int64_t commit_due_ms(const struct topic_writer *w)
{
    if (w->state != WRITER_OPEN)
        return INT64_MAX;
    if (w->trouble.must_abort)
        return 0;
    if (!atomic_load(&w->began) || w->oldest_ms == 0)
        return INT64_MAX;
    if (w->hurry || trust_is_alone(w->trust))
        return 0;
    return commit_pace_due_ms(&w->pace, w->oldest_ms, w->last_commit_ms, atomic_load(&w->bytes),
                              atomic_load(&w->records));
}

/* What it costs the others is the time that they can't enter. */
static void finish(struct topic_writer *w)
{
    writer_gate_close(w);
    writer_finish_transaction(w);
    commit_pace_measured(&w->pace, (clock_mono_ms() - w->closed_ms) * 1000);
    writer_gate_open(w);
}

/* Under lock. Waits until at_ms, or until something has changed. */
static void wait_until(struct topic_writer *w, int64_t at_ms)
{
    if (at_ms == INT64_MAX)
        pthread_cond_wait(&w->changed, &w->lock);
    else
        clock_cond_wait(&w->changed, &w->lock, at_ms);
}

void *writer_committer_loop(void *arg)
{
    struct topic_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        int64_t due = commit_due_ms(w);
        int64_t turn = w->state == WRITER_OPEN ? trust_turn_ends_ms(w->trust) : INT64_MAX;

        if (due <= clock_mono_ms()) {
            pthread_mutex_unlock(&w->lock);
            finish(w);
            pthread_mutex_lock(&w->lock);
        } else if (turn <= clock_mono_ms()) {
            writer_turn_over(w);
        } else {
            wait_until(w, MIN(due, turn));
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

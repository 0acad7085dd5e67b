#include "producer/topic_writer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/mutation.h"
#include "producer/refused_report.h"
#include "producer/transactional_handle.h"

#define CALL_TIMEOUT_MS 15000
#define FLUSH_SLICE_MS 200 /* what failed meanwhile is not waited for any longer */
#define IDLE_LINGER_MS 3

struct failure { /* the first one of a transaction; one that stops a table goes before others */
    bool is_set;
    bool stops; /* the topic's table */
    char topic[256];
    char reason[256];
};

struct topic_writer {
    /* set once */
    rd_kafka_t *rk;
    int32_t ledger_partition;
    int64_t interval_ms;
    struct refusals *refusals;
    bool alone; /* each record is a batch of its own */
    char *dead_letter_topic;
    pthread_t committer;
    pthread_t reporter;
    struct metric *commits;
    struct metric *aborts;

    pthread_rwlock_t gate; /* shared: appenders; exclusive: commit, abort, close */

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    enum topic_writer_state state;
    bool in_transaction;
    int64_t oldest_ms; /* first append of the transaction; 0: none */
    int64_t last_commit_ms;
    bool hurry;
    bool must_abort;
    bool refused; /* the broker refused a batch: the handle has to be opened anew */
    struct failure failure;
    bool stopping; /* the committer's end */
    struct topic_writer_member *members;

    atomic_bool reporter_stops;
};

/* ---- delivery reports ---- */

static bool failure_is_of_topic(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return true;
    default:
        return false;
    }
}

/* Under lock. */
static void note(struct topic_writer *w, const char *topic, bool stops, const char *reason)
{
    struct failure *f = &w->failure;

    w->must_abort = true;
    if (f->is_set && (f->stops || !stops))
        return;
    f->is_set = true;
    f->stops = stops;
    snprintf(f->topic, sizeof(f->topic), "%s", topic);
    snprintf(f->reason, sizeof(f->reason), "%s", reason);
    pthread_cond_broadcast(&w->changed);
}

static void note_failure(struct topic_writer *w, rd_kafka_resp_err_t code, const char *topic)
{
    AUTO_LOCK(&w->lock);
    note(w, topic, failure_is_of_topic(code), rd_kafka_err2str(code));
}

/* The number that follows is not the one that the broker waits for: every later batch of that
 * partition would be refused too. */
static void note_refusal(struct topic_writer *w, const rd_kafka_message_t *m)
{
    struct refused_report report;

    refused_report(&report, w->refusals, m, w->alone, w->dead_letter_topic);
    AUTO_LOCK(&w->lock);
    note(w, report.topic, report.stops, report.reason);
    w->refused = w->refused || !report.stops;
}

/* Whoever wants the offset may be gone when the writer is open no more. */
static void give_offset(struct topic_writer *w, int64_t *ret, int64_t offset)
{
    AUTO_LOCK(&w->lock);
    if (w->state == WRITER_OPEN)
        *ret = offset;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    if (refused_report_is_due(m->err))
        note_refusal(opaque, m);
    else if (m->err)
        note_failure(opaque, m->err, rd_kafka_topic_name(m->rkt));
    else if (m->_private)
        give_offset(opaque, m->_private, m->offset);
}

static void *reporter_loop(void *arg)
{
    struct topic_writer *w = arg;

    while (!atomic_load(&w->reporter_stops))
        rd_kafka_poll(w->rk, 100);
    return NULL;
}

/* ---- outcomes of transactional calls ---- */

static void set_state(struct topic_writer *w, enum topic_writer_state state)
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
    set_state(w, fenced ? WRITER_FENCED : WRITER_BROKEN);
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
        set_state(w, WRITER_BROKEN);
        return;
    }
    tell_aborted(w, &failure);
    transaction_over(w);
    if (!refused)
        return;
    log_warn("records were refused", "ledger_partition=%" PRId32 " topic=%s alone=%s reason=%s",
             w->ledger_partition, failure.topic, w->alone ? "true" : "false", failure.reason);
    set_state(w, WRITER_BROKEN);
}

/* Under the exclusive gate. */
static void finish_transaction(struct topic_writer *w)
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

static void *committer_loop(void *arg)
{
    struct topic_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        int64_t due = commit_due_ms(w);

        if (due <= clock_mono_ms()) {
            pthread_mutex_unlock(&w->lock);
            pthread_rwlock_wrlock(&w->gate);
            finish_transaction(w);
            pthread_rwlock_unlock(&w->gate);
            pthread_mutex_lock(&w->lock);
        } else if (due == INT64_MAX) {
            pthread_cond_wait(&w->changed, &w->lock);
        } else {
            struct timespec until = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};

            pthread_cond_timedwait(&w->changed, &w->lock, &until);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- opening ---- */

static struct topic_writer *writer_alloc(const struct config *c, int32_t ledger_partition,
                                         struct refusals *refusals)
{
    struct topic_writer *w = xcalloc(1, sizeof(*w));
    AUTO(free_charp) char *number = xasprintf("%" PRId32, ledger_partition);
    AUTO(free_charp) char *labels = metric_labels("ledger_partition", number, NULL);
    pthread_rwlockattr_t gate_attr;
    pthread_condattr_t attr;

    w->ledger_partition = ledger_partition;
    w->interval_ms = config_int(c, "commit.interval.ms");
    w->refusals = refusals;
    w->alone = refusals_alone(refusals, clock_mono_ms());
    w->dead_letter_topic = kafka_dead_letter_topic(c);
    pthread_rwlockattr_init(&gate_attr);
    pthread_rwlockattr_setkind_np(&gate_attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&w->gate, &gate_attr);
    pthread_rwlockattr_destroy(&gate_attr);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    w->commits = metric_get(METRIC_COUNTER, "dynaferry_producer_commits_total",
                            "transactions committed", labels);
    w->aborts = metric_get(METRIC_COUNTER, "dynaferry_producer_aborts_total",
                           "transactions aborted", labels);
    return w;
}

int topic_writer_open(struct topic_writer **ret, const struct config *c,
                      int32_t ledger_partition, struct refusals *refusals, struct error *err)
{
    AUTO(topic_writer_freep)
    struct topic_writer *w = writer_alloc(c, ledger_partition, refusals);

    if (transactional_handle_open(&w->rk, c, ledger_partition, w->alone, on_delivery, w, err) <
        0)
        return error_prefix(err, "ledger partition %" PRId32, ledger_partition);
    CHECK(pthread_create(&w->reporter, NULL, reporter_loop, w) == 0);
    CHECK(pthread_create(&w->committer, NULL, committer_loop, w) == 0);
    *ret = TAKE(w);
    return 0;
}

void topic_writer_close(struct topic_writer *w)
{
    /* In one hold of the gate: an appender that came between would leave a transaction open,
     * which stops readers of its topics until it times out. */
    pthread_rwlock_wrlock(&w->gate);
    finish_transaction(w);
    set_state(w, WRITER_CLOSED);
    pthread_rwlock_unlock(&w->gate);
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void topic_writer_free(struct topic_writer *w)
{
    if (!w)
        return;
    if (w->committer) {
        CHECK(w->stopping);
        pthread_join(w->committer, NULL);
    }
    atomic_store(&w->reporter_stops, true);
    if (w->reporter)
        pthread_join(w->reporter, NULL);
    if (w->rk) {
        rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(w->rk);
    }
    pthread_rwlock_destroy(&w->gate);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->dead_letter_topic);
    free(w);
}

enum topic_writer_state topic_writer_state(const struct topic_writer *w)
{
    AUTO_LOCK((pthread_mutex_t *)&w->lock);
    return w->state;
}

bool topic_writer_is_outdated(const struct topic_writer *w)
{
    return w->alone && !refusals_alone(w->refusals, clock_mono_ms());
}

void topic_writer_join(struct topic_writer *w, struct topic_writer_member *m)
{
    pthread_rwlock_wrlock(&w->gate);
    pthread_mutex_lock(&w->lock);
    m->next = w->members;
    w->members = m;
    pthread_mutex_unlock(&w->lock);
    pthread_rwlock_unlock(&w->gate);
}

void topic_writer_leave(struct topic_writer *w, struct topic_writer_member *m)
{
    struct topic_writer_member **at = &w->members;

    pthread_rwlock_wrlock(&w->gate);
    pthread_mutex_lock(&w->lock);
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
    pthread_mutex_unlock(&w->lock);
    pthread_rwlock_unlock(&w->gate);
}

/* ---- appending ---- */

/* Begins the transaction with its first appender. */
static int begin(struct topic_writer *w, struct error *err)
{
    rd_kafka_error_t *error;

    AUTO_LOCK(&w->lock);
    if (w->state != WRITER_OPEN)
        return error_set(err, ERR_FENCED, "ledger partition %" PRId32 " is not ours any more",
                         w->ledger_partition);
    if (w->in_transaction)
        return 0;
    error = rd_kafka_begin_transaction(w->rk);
    if (error) {
        error_set(err, ERR_FENCED, "begin_transaction: %s", rd_kafka_error_string(error));
        w->state = transactional_handle_is_fenced(w->rk, rd_kafka_error_code(error))
                       ? WRITER_FENCED
                       : WRITER_BROKEN;
        rd_kafka_error_destroy(error);
        return -1;
    }
    w->in_transaction = true;
    return 0;
}

int topic_writer_enter(struct topic_writer *w, struct error *err)
{
    if (!MUTATED(gate))
        pthread_rwlock_rdlock(&w->gate);
    if (begin(w, err) == 0)
        return 0;
    if (!MUTATED(gate))
        pthread_rwlock_unlock(&w->gate);
    return -1;
}

void topic_writer_exit(struct topic_writer *w)
{
    pthread_mutex_lock(&w->lock);
    if (w->oldest_ms == 0) {
        w->oldest_ms = clock_mono_ms();
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    if (!MUTATED(gate))
        pthread_rwlock_unlock(&w->gate);
}

static rd_kafka_headers_t *headers_of(const struct topic_record *r)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(r->header_count);

    for (size_t i = 0; i < r->header_count; i++)
        rd_kafka_header_add(headers, r->headers[i].name, -1, r->headers[i].value.p,
                            (ssize_t)r->headers[i].value.len);
    return headers;
}

rd_kafka_topic_t *topic_writer_topic(struct topic_writer *w, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(w->rk, name, NULL);

    CHECK(topic);
    return topic;
}

static rd_kafka_resp_err_t produce(struct topic_writer *w, const struct topic_record *r)
{
    rd_kafka_headers_t *headers = headers_of(r);
    rd_kafka_topic_t *topic = r->handle ? r->handle : topic_writer_topic(w, r->topic);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        w->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(r->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.p, r->key.len),
        RD_KAFKA_V_VALUE((void *)r->value.p, r->value.len), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(r->ret_offset), RD_KAFKA_V_END);

    if (code)
        rd_kafka_headers_destroy(headers);
    if (!r->handle)
        rd_kafka_topic_destroy(topic);
    return code;
}

static bool given_up(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->must_abort || w->state != WRITER_OPEN;
}

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    rd_kafka_resp_err_t code;

    while ((code = produce(w, r)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        struct timespec pause = {.tv_nsec = 2000000};

        if (given_up(w))
            return error_set(err, ERR_ABORT, "topic %s: the transaction failed", r->topic);
        nanosleep(&pause, NULL); /* the reporter makes room */
    }
    if (!code)
        return 0;
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return error_set(err, ERR_DATA, "larger than topic.max.message.bytes");
    note_failure(w, code, r->topic);
    return error_set(err, ERR_ABORT, "topic %s: %s", r->topic, rd_kafka_err2str(code));
}

void topic_writer_fail(struct topic_writer *w, const char *why)
{
    log_warn("transaction can't be finished", "ledger_partition=%" PRId32 " reason=%s",
             w->ledger_partition, why);
    note_failure(w, RD_KAFKA_RESP_ERR__BAD_MSG, "");
}

void topic_writer_hurry(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->hurry = true;
    pthread_cond_broadcast(&w->changed);
}

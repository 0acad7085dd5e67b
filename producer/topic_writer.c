#include "producer/topic_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/mutation.h"
#include "producer/refused_report.h"
#include "producer/topic_writer_internal.h"
#include "producer/transactional_handle.h"

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

/* ---- opening ---- */

static struct topic_writer *writer_alloc(const struct config *c, int32_t ledger_partition,
                                         struct refusals *refusals)
{
    struct topic_writer *w = xcalloc(1, sizeof(*w));
    AUTO(free_charp) char *number = xasprintf("%" PRId32, ledger_partition);
    AUTO(free_charp) char *labels = metric_labels("ledger_partition", number, NULL);
    pthread_rwlockattr_t gate_attr;

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
    clock_cond_init(&w->changed);
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
    CHECK(pthread_create(&w->committer, NULL, writer_committer_loop, w) == 0);
    *ret = TAKE(w);
    return 0;
}

void topic_writer_close(struct topic_writer *w)
{
    /* In one hold of the gate: an appender that came between would leave a transaction open,
     * which stops readers of its topics until it times out. */
    pthread_rwlock_wrlock(&w->gate);
    writer_finish_transaction(w);
    writer_set_state(w, WRITER_CLOSED);
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

int64_t topic_writer_wait_ms(struct topic_writer *w, struct topic_writer_member *m)
{
    (void)w;
    (void)m;
    return 0;
}

int topic_writer_enter(struct topic_writer *w, struct topic_writer_member *m, struct step *s,
                       struct error *err)
{
    (void)m;
    (void)s;
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

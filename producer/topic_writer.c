#include "producer/topic_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/base/thread.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "producer/topic_writer_internal.h"
#include "producer/transactional_handle.h"

#define FLUSH_MS 1500 /* what is not reported by then is found out about elsewhere */

/* ---- opening ---- */

static struct topic_writer *writer_alloc(const struct config *c, int32_t ledger_partition,
                                         struct poison *poison, struct step_pool *pool)
{
    struct topic_writer *w = xcalloc(1, sizeof(*w));
    AUTO(free_charp) char *number = xasprintf("%" PRId32, ledger_partition);
    AUTO(free_charp) char *labels = metric_labels("ledger_partition", number, NULL);

    w->ledger_partition = ledger_partition;
    w->pace.interval_ms = config_int(c, "commit.interval.ms");
    w->stall_ms = config_int(c, "commit.stall.ms");
    w->poison = poison;
    w->trust = poison_trust(poison);
    w->pool = pool;
    w->alone = poison_alone(poison, clock_mono_ms());
    w->ledger_topic = kafka_ledger_topic(c);
    w->dead_letter_topic = kafka_dead_letter_topic(c);
    w->nobody = writer_account_new(w, NULL);
    pthread_mutex_init(&w->ends_lock, NULL);
    pthread_mutex_init(&w->lock, NULL);
    clock_cond_init(&w->changed);
    w->commits = metric_get(METRIC_COUNTER, "dynaferry_producer_commits_total",
                            "transactions committed", labels);
    w->aborts = metric_get(METRIC_COUNTER, "dynaferry_producer_aborts_total",
                           "transactions aborted", labels);
    return w;
}

int topic_writer_open(struct topic_writer **ret, const struct config *c,
                      int32_t ledger_partition, struct poison *poison, struct step_pool *pool,
                      struct error *err)
{
    AUTO(topic_writer_freep)
    struct topic_writer *w = writer_alloc(c, ledger_partition, poison, pool);

    if (transactional_handle_open(&w->rk, c, ledger_partition, w->alone, writer_on_delivery, w,
                                  err) < 0)
        return error_prefix(err, "ledger partition %" PRId32, ledger_partition);
    /* The other half is for those that are in the gate by then. */
    w->queue_bytes = transactional_handle_queue_bytes(w->rk) / 2;
    w->queue_records = transactional_handle_queue_records(w->rk) / 2;
    trust_begin(w->trust);
    if (thread_start(&w->reporter, writer_reporter_loop, w, err) < 0 ||
        thread_start(&w->committer, writer_committer_loop, w, err) < 0)
        return -1;
    *ret = TAKE(w);
    return 0;
}

void topic_writer_close(struct topic_writer *w)
{
    /* In one hold of the gate: an appender that came between would leave a transaction open,
     * which stops readers of its topics until it times out. */
    writer_gate_close(w);
    writer_finish_transaction(w);
    writer_set_state(w, WRITER_CLOSED);
    writer_gate_open(w);
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* What librdkafka still has is reported here: receipts come back. */
static void handle_free(struct topic_writer *w)
{
    if (!w->rk)
        return;
    rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(w->rk, FLUSH_MS);
    rd_kafka_destroy(w->rk);
}

static void accounts_free(struct topic_writer *w)
{
    struct writer_account *a, *next;

    for (a = w->accounts; a; a = next) {
        next = a->next;
        writer_account_free(a);
    }
    writer_account_free(w->nobody);
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
    handle_free(w);
    accounts_free(w);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->ends_lock);
    free(w->ledger_topic);
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
    return w->alone && !poison_alone(w->poison, clock_mono_ms());
}

bool topic_writer_was_of_use(const struct topic_writer *w)
{
    return atomic_load(&((struct topic_writer *)w)->was_of_use);
}

/* ---- appending ---- */

/* Begins the transaction with its first append; in *ret_first whether it did. */
static int begin(struct topic_writer *w, bool *ret_first, struct error *err)
{
    rd_kafka_error_t *error;

    *ret_first = false;
    if (atomic_load(&w->began))
        return 0;
    AUTO_LOCK(&w->lock);
    if (atomic_load(&w->began))
        return 0;
    if (w->state != WRITER_OPEN)
        return error_set(err, ERR_ABORT, "ledger partition %" PRId32 " is not ours any more",
                         w->ledger_partition);
    error = rd_kafka_begin_transaction(w->rk);
    if (error) {
        error_set(err, ERR_ABORT, "begin_transaction: %s", rd_kafka_error_string(error));
        w->state = transactional_handle_is_fenced(w->rk, rd_kafka_error_code(error))
                       ? WRITER_FENCED
                       : WRITER_BROKEN;
        rd_kafka_error_destroy(error);
        return -1;
    }
    atomic_fetch_add(&w->transaction, 1);
    atomic_store(&w->bytes, 0);
    atomic_store(&w->records, 0);
    atomic_store(&w->began, true);
    *ret_first = true;
    return 0;
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

static rd_kafka_resp_err_t produce(struct topic_writer *w, const struct topic_record *r,
                                   struct receipt *receipt)
{
    rd_kafka_headers_t *headers = headers_of(r);
    rd_kafka_topic_t *topic = r->handle ? r->handle : topic_writer_topic(w, r->topic);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        w->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(r->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.p, r->key.len),
        RD_KAFKA_V_VALUE((void *)r->value.p, r->value.len), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(receipt), RD_KAFKA_V_END);

    if (code)
        rd_kafka_headers_destroy(headers);
    if (!r->handle)
        rd_kafka_topic_destroy(topic);
    return code;
}

static bool given_up(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    return w->trouble.must_abort || w->state != WRITER_OPEN;
}

static int stalled(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    AUTO_LOCK(&w->lock);
    w->trouble.stalled = w->trouble.kafka_failed = true;
    writer_note(w, r->topic, false, "Kafka does not take its records");
    return error_set(err, ERR_ABORT, "topic %s: Kafka takes no records now", r->topic);
}

/* In *ret_code what the queue said in the end. -1: there is no room, and won't be soon. */
static int produce_with_patience(struct topic_writer *w, const struct topic_record *r,
                                 struct receipt *receipt, rd_kafka_resp_err_t *ret_code,
                                 struct error *err)
{
    int64_t since = clock_mono_ms();
    uint64_t reports = atomic_load(&w->reports);

    while ((*ret_code = produce(w, r, receipt)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        struct timespec pause = {.tv_nsec = 2000000};

        if (given_up(w))
            return error_set(err, ERR_ABORT, "topic %s: the transaction failed", r->topic);
        if (atomic_load(&w->reports) != reports) {
            reports = atomic_load(&w->reports);
            since = clock_mono_ms();
        } else if (clock_mono_ms() - since >= w->stall_ms) {
            return stalled(w, r, err);
        }
        nanosleep(&pause, NULL); /* the reporter makes room */
    }
    return 0;
}

static enum record_kind kind_of(const struct topic_writer *w, const struct topic_record *r)
{
    if (r->handle)
        return RECORD_DATA;
    if (strcmp(r->topic, w->ledger_topic) == 0)
        return RECORD_LEDGER;
    return strcmp(r->topic, w->dead_letter_topic) == 0 ? RECORD_DEAD_LETTER : RECORD_DATA;
}

static struct receipt *receipt_new(struct writer_account *a, enum record_kind kind,
                                   int64_t *ret_offset)
{
    struct receipt *receipt = &a->receipts[kind];

    if (!ret_offset)
        return receipt;
    receipt = xmalloc(sizeof(*receipt));
    *receipt = (struct receipt){.account = a, .kind = kind, .offset = ret_offset};
    return receipt;
}

/* by 1: it is about to be reported at any time; by -1: it will not be. */
static void count(struct topic_writer *w, struct receipt *receipt, const struct topic_record *r,
                  long by)
{
    long bytes = (long)(r->key.len + r->value.len);

    atomic_fetch_add(&receipt->account->appended[receipt->kind], by);
    atomic_fetch_add(&receipt->account->unreported, by);
    atomic_fetch_add(&w->bytes, by * bytes);
    atomic_fetch_add(&w->records, by);
    atomic_fetch_add(&w->waiting_bytes, by * bytes);
    atomic_fetch_add(&w->waiting_records, by);
}

/* What librdkafka's queue refused for good. */
static int refused(struct topic_writer *w, const struct topic_record *r,
                   const struct receipt *receipt, rd_kafka_resp_err_t code, struct error *err)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return error_set(err, ERR_DATA, "larger than topic.max.message.bytes");
    writer_note_code(w, receipt->account, receipt->kind, code, r->topic);
    return error_set(err, ERR_ABORT, "topic %s: %s", r->topic, rd_kafka_err2str(code));
}

static int append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    struct writer_account *a = r->member ? r->member->account : w->nobody;
    rd_kafka_resp_err_t code;
    struct receipt *receipt;
    int result;

    receipt = receipt_new(a, kind_of(w, r), r->ret_offset);
    count(w, receipt, r, 1);
    result = produce_with_patience(w, r, receipt, &code, err);
    if (result == 0 && code)
        result = refused(w, r, receipt, code, err);
    if (result == 0)
        return 0;
    count(w, receipt, r, -1);
    if (r->ret_offset)
        free(receipt);
    return -1;
}

/* The brokers end no transaction that none of whose partitions they took in, and the handle is
 * lost with it. So the one of a suspect, whose topic may be refused, takes in the ledger first:
 * a tombstone of a key that never has a value. */
static int append_trial(struct topic_writer *w, struct error *err)
{
    const struct topic_record r = {
        .topic = w->ledger_topic, .partition = w->ledger_partition, .key = BYTES_LIT("trial")};

    if (append(w, &r, err) < 0)
        return -1;
    rd_kafka_flush(w->rk, FLUSH_MS); /* what else is wrong shows at the commit */
    return 0;
}

int topic_writer_append(struct topic_writer *w, const struct topic_record *r, struct error *err)
{
    bool first;

    if (begin(w, &first, err) < 0 ||
        (first && trust_is_alone(w->trust) && append_trial(w, err) < 0))
        return -1;
    return append(w, r, err);
}

/* By the caller's own trouble, unless Kafka's was noted before. */
void topic_writer_request_abort(struct topic_writer *w, const char *why)
{
    log_warn("transaction can't be finished", "ledger_partition=%" PRId32 " reason=%s",
             w->ledger_partition, why);
    AUTO_LOCK(&w->lock);
    writer_note(w, "", false, why);
}

void topic_writer_commit_soon(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->hurry = true;
    pthread_cond_broadcast(&w->changed);
}

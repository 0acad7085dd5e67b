/* A transaction belongs to the handle, not to a table, so what fails in it fails for all tables
 * of the ledger partition. Three things keep that from becoming everybody's trouble: reports
 * are counted per member, so that it is known whose records were not taken; the gate lets those
 * that may be to blame in alone; and a handle that can't be trusted any more (an unknown
 * outcome, a refused batch) is never repaired: the owner opens a new one, which fences this
 * one, and everything since the last commit is read again. */
#include "producer/topic_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "producer/topic_writer_reports.h"
#include "producer/transactional_handle.h"

#define FLUSH_MS 1500 /* nothing depends on what is not reported by then */

/* ---- members ---- */

static struct writer_account *account_new(struct topic_writer *writer,
                                          struct topic_writer_member *m)
{
    struct writer_account *account = xcalloc(1, sizeof(*account));

    account->writer = writer;
    account->member = m;
    for (int kind = 0; kind < RECORD_KINDS; kind++)
        account->receipts[kind] =
            (struct receipt){.account = account, .kind = (enum record_kind)kind};
    if (m && m->topic) {
        account->trusted = trust_member(writer->trust, m->topic);
        trust_member_set(writer->trust, account->trusted, account);
    }
    return account;
}

static void account_free(struct writer_account *account)
{
    free(account->ends);
    free(account);
}

static void tell_held_before(struct topic_writer *writer, struct topic_writer_member *m)
{
    struct trust_member *trusted = m->account->trusted;
    char topic[256], reason[256];

    if (trusted && m->held &&
        trust_is_told(writer->trust, trusted, topic, reason, sizeof(topic)))
        m->held(m->arg, topic, reason);
}

void topic_writer_add_member(struct topic_writer *writer, struct topic_writer_member *m)
{
    struct writer_account *account = m->account = account_new(writer, m);

    tell_held_before(writer, m);
    AUTO_LOCK(&writer->lock);
    account->next = writer->accounts;
    writer->accounts = account;
}

/* Under lock. */
static void not_present(struct topic_writer *writer, struct writer_account *account)
{
    struct writer_account **at = &writer->present;

    while (*at && *at != account)
        at = &(*at)->next_present;
    if (*at)
        *at = account->next_present;
    account->is_present = false;
}

/* Reports of its records may still come, or its callbacks run on this very thread: then it is
 * freed with the writer. */
static void account_remove(struct topic_writer *writer, struct writer_account *account)
{
    struct writer_account **at = &writer->accounts;

    account->member = NULL;
    not_present(writer, account);
    if (writer->telling || atomic_load(&account->unreported) > 0)
        return;
    while (*at != account)
        at = &(*at)->next;
    *at = account->next;
    account_free(account);
}

void topic_writer_remove_member(struct topic_writer *writer, struct topic_writer_member *m)
{
    if (!m->account) /* never added */
        return;
    AUTO_LOCK(&writer->lock);
    while (writer->telling && !pthread_equal(writer->teller, pthread_self()))
        pthread_cond_wait(&writer->changed, &writer->lock);
    if (m->account->trusted)
        trust_member_unset(writer->trust, m->account->trusted, m->account);
    account_remove(writer, TAKE(m->account));
}

void topic_writer_note_ends(struct topic_writer *writer, struct topic_writer_member *m,
                            const int64_t *offsets, int32_t count)
{
    topic_writer_reports_note_ends(writer, m->account, offsets, count);
}

/* ---- opening ---- */

static struct topic_writer *writer_alloc(const struct config *c, int32_t ledger_partition,
                                         struct poison *poison, struct step_pool *pool)
{
    struct topic_writer *writer = xcalloc(1, sizeof(*writer));
    AUTO(free_charp) char *number = xasprintf("%" PRId32, ledger_partition);
    AUTO(free_charp) char *labels = metric_labels("ledger_partition", number, NULL);

    writer->ledger_partition = ledger_partition;
    writer->pace.interval_ms = config_int(c, "commit.interval.ms");
    writer->stall_ms = config_int(c, "commit.stall.ms");
    writer->poison = poison;
    writer->trust = poison_trust(poison);
    writer->pool = pool;
    writer->alone = poison_sends_alone(poison, clock_mono_ms());
    writer->ledger_topic = kafka_ledger_topic(c);
    writer->dead_letter_topic = kafka_dead_letter_topic(c);
    writer->nobody = account_new(writer, NULL);
    pthread_mutex_init(&writer->ends_lock, NULL);
    pthread_mutex_init(&writer->lock, NULL);
    clock_cond_init(&writer->changed);
    writer->commits = metric_get(METRIC_COUNTER, "dynaferry_producer_commits_total",
                                 "transactions committed", labels);
    writer->aborts = metric_get(METRIC_COUNTER, "dynaferry_producer_aborts_total",
                                "transactions aborted", labels);
    return writer;
}

int topic_writer_open(struct topic_writer **ret, const struct config *c,
                      int32_t ledger_partition, struct poison *poison, struct step_pool *pool,
                      struct error *err)
{
    AUTO(topic_writer_freep)
    struct topic_writer *writer = writer_alloc(c, ledger_partition, poison, pool);

    if (transactional_handle_open(&writer->rk, c, ledger_partition, writer->alone,
                                  topic_writer_reports_on_delivery, writer, err) < 0)
        return error_prefix(err, "ledger partition %" PRId32, ledger_partition);
    /* The other half is for those that are inside the gate by then. */
    writer->queue_bytes = transactional_handle_queue_bytes(writer->rk) / 2;
    writer->queue_records = transactional_handle_queue_records(writer->rk) / 2;
    trust_begin(writer->trust);
    if (thread_start(&writer->reporter, topic_writer_reports_loop, writer, err) < 0 ||
        thread_start(&writer->committer, topic_writer_commit_loop, writer, err) < 0)
        return -1;
    *ret = TAKE(writer);
    return 0;
}

void topic_writer_close(struct topic_writer *writer)
{
    /* In one hold of the gate: an appender that came in between would leave a transaction open,
     * and readers of its topics would wait until that times out. */
    topic_writer_gate_close(writer);
    topic_writer_commit_finish(writer);
    topic_writer_core_set_state(writer, WRITER_CLOSED);
    topic_writer_gate_open(writer);
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

/* What librdkafka still has is reported here, so every receipt comes back and is freed. */
static void handle_free(struct topic_writer *writer)
{
    if (!writer->rk)
        return;
    rd_kafka_purge(writer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(writer->rk, FLUSH_MS);
    rd_kafka_destroy(writer->rk);
}

static void accounts_free(struct topic_writer *writer)
{
    struct writer_account *account, *next;

    for (account = writer->accounts; account; account = next) {
        next = account->next;
        account_free(account);
    }
    account_free(writer->nobody);
}

void topic_writer_free(struct topic_writer *writer)
{
    if (!writer)
        return;
    if (writer->committer) {
        CHECK(writer->stopping);
        pthread_join(writer->committer, NULL);
    }
    atomic_store(&writer->reporter_stops, true);
    if (writer->reporter)
        pthread_join(writer->reporter, NULL);
    handle_free(writer);
    accounts_free(writer);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    pthread_mutex_destroy(&writer->ends_lock);
    free(writer->ledger_topic);
    free(writer->dead_letter_topic);
    free(writer);
}

enum topic_writer_state topic_writer_state(const struct topic_writer *writer)
{
    AUTO_LOCK((pthread_mutex_t *)&writer->lock);
    return writer->state;
}

void topic_writer_outdate(struct topic_writer *writer, const char *topic)
{
    if (!atomic_exchange(&writer->outdated, true))
        log_info("producer handle is replaced, since a topic was made anew",
                 "ledger_partition=%" PRId32 " topic=%s", writer->ledger_partition, topic);
}

bool topic_writer_is_outdated(const struct topic_writer *writer)
{
    return atomic_load(&((struct topic_writer *)writer)->outdated) ||
           (writer->alone && !poison_sends_alone(writer->poison, clock_mono_ms()));
}

bool topic_writer_was_of_use(const struct topic_writer *writer)
{
    return atomic_load(&((struct topic_writer *)writer)->was_of_use);
}

/* ---- appending ---- */

/* Begins the transaction, unless it is open. *ret_first: it was not. */
static int begin(struct topic_writer *writer, bool *ret_first, struct error *err)
{
    rd_kafka_error_t *error;

    *ret_first = false;
    if (atomic_load(&writer->began))
        return 0;
    AUTO_LOCK(&writer->lock);
    if (atomic_load(&writer->began))
        return 0;
    if (writer->state != WRITER_OPEN)
        return error_set(err, ERR_ABORT, "ledger partition %" PRId32 " is not ours any more",
                         writer->ledger_partition);
    error = rd_kafka_begin_transaction(writer->rk);
    if (error) {
        error_set(err, ERR_ABORT, "begin_transaction: %s", rd_kafka_error_string(error));
        writer->state = transactional_handle_is_fenced(writer->rk, rd_kafka_error_code(error))
                            ? WRITER_FENCED
                            : WRITER_BROKEN;
        rd_kafka_error_destroy(error);
        return -1;
    }
    atomic_fetch_add(&writer->transaction, 1);
    atomic_store(&writer->bytes, 0);
    atomic_store(&writer->records, 0);
    atomic_store(&writer->began, true);
    *ret_first = true;
    return 0;
}

static rd_kafka_headers_t *headers_of(const struct topic_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);

    for (size_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value.p,
                            (ssize_t)record->headers[i].value.len);
    return headers;
}

rd_kafka_topic_t *topic_writer_topic(struct topic_writer *writer, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(writer->rk, name, NULL);

    CHECK(topic);
    return topic;
}

static rd_kafka_resp_err_t produce(struct topic_writer *writer,
                                   const struct topic_record *record, struct receipt *receipt)
{
    rd_kafka_headers_t *headers = headers_of(record);
    rd_kafka_topic_t *topic =
        record->handle ? record->handle : topic_writer_topic(writer, record->topic);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        writer->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.p, record->key.len),
        RD_KAFKA_V_VALUE((void *)record->value.p, record->value.len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(receipt), RD_KAFKA_V_END);

    if (code)
        rd_kafka_headers_destroy(headers);
    if (!record->handle)
        rd_kafka_topic_destroy(topic);
    return code;
}

static bool given_up(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    return writer->trouble.must_abort || writer->state != WRITER_OPEN;
}

/* *ret_code: the queue's last answer. -1: there is no room, and there won't be any soon. */
static int produce_with_patience(struct topic_writer *writer, const struct topic_record *record,
                                 struct receipt *receipt, rd_kafka_resp_err_t *ret_code,
                                 struct error *err)
{
    int64_t since = clock_mono_ms();
    uint64_t reports = atomic_load(&writer->reports);

    while ((*ret_code = produce(writer, record, receipt)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        struct timespec pause = {.tv_nsec = 2000000};

        if (given_up(writer))
            return error_set(err, ERR_ABORT, "topic %s: the transaction failed", record->topic);
        if (atomic_load(&writer->reports) != reports) {
            reports = atomic_load(&writer->reports);
            since = clock_mono_ms();
        } else if (clock_mono_ms() - since >= writer->stall_ms) {
            topic_writer_core_note_stall(writer, record->topic);
            return error_set(err, ERR_ABORT, "topic %s: Kafka takes no records now",
                             record->topic);
        }
        nanosleep(&pause, NULL); /* the reporter makes room */
    }
    return 0;
}

static enum record_kind kind_of(const struct topic_writer *writer,
                                const struct topic_record *record)
{
    if (record->handle)
        return RECORD_DATA;
    if (strcmp(record->topic, writer->ledger_topic) == 0)
        return RECORD_LEDGER;
    return strcmp(record->topic, writer->dead_letter_topic) == 0 ? RECORD_DEAD_LETTER
                                                                 : RECORD_DATA;
}

static struct receipt *receipt_new(struct writer_account *account, enum record_kind kind,
                                   int64_t *ret_offset)
{
    struct receipt *receipt = &account->receipts[kind];

    if (!ret_offset)
        return receipt;
    receipt = xmalloc(sizeof(*receipt));
    *receipt = (struct receipt){.account = account, .kind = kind, .offset = ret_offset};
    return receipt;
}

/* by: 1 before the append, since the report may come at once; -1: none will come. */
static void count(struct topic_writer *writer, struct receipt *receipt,
                  const struct topic_record *record, long by)
{
    long bytes = (long)(record->key.len + record->value.len);

    atomic_fetch_add(&receipt->account->appended[receipt->kind], by);
    atomic_fetch_add(&receipt->account->unreported, by);
    atomic_fetch_add(&writer->bytes, by * bytes);
    atomic_fetch_add(&writer->records, by);
    atomic_fetch_add(&writer->waiting_bytes, by * bytes);
    atomic_fetch_add(&writer->waiting_records, by);
}

/* librdkafka's queue refused the record for good. */
static int refused(struct topic_writer *writer, const struct topic_record *record,
                   const struct receipt *receipt, rd_kafka_resp_err_t code, struct error *err)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return error_set(err, ERR_DATA, "larger than topic.max.message.bytes");
    topic_writer_reports_note_error(writer, receipt->account, receipt->kind, code,
                                    record->topic);
    return error_set(err, ERR_ABORT, "topic %s: %s", record->topic, rd_kafka_err2str(code));
}

static int append(struct topic_writer *writer, const struct topic_record *record,
                  struct error *err)
{
    struct writer_account *account = record->member ? record->member->account : writer->nobody;
    rd_kafka_resp_err_t code;
    struct receipt *receipt;
    int result;

    receipt = receipt_new(account, kind_of(writer, record), record->ret_offset);
    count(writer, receipt, record, 1);
    result = produce_with_patience(writer, record, receipt, &code, err);
    if (result == 0 && code)
        result = refused(writer, record, receipt, code, err);
    if (result == 0)
        return 0;
    count(writer, receipt, record, -1);
    if (record->ret_offset)
        free(receipt);
    return -1;
}

/* Brokers can't end a transaction to which no partition was added, and the handle would be lost
 * with it. A suspect's topic may be refused, so its transaction adds the ledger's partition
 * first, by a tombstone of a key that never has a value. */
static int append_trial(struct topic_writer *writer, struct error *err)
{
    const struct topic_record record = {.topic = writer->ledger_topic,
                                        .partition = writer->ledger_partition,
                                        .key = BYTES_LIT("trial")};

    if (append(writer, &record, err) < 0)
        return -1;
    rd_kafka_flush(writer->rk, FLUSH_MS); /* if it failed, so will the commit */
    return 0;
}

int topic_writer_append(struct topic_writer *writer, const struct topic_record *record,
                        struct error *err)
{
    bool first;

    if (begin(writer, &first, err) < 0 ||
        (first && trust_is_alone(writer->trust) && append_trial(writer, err) < 0))
        return -1;
    return append(writer, record, err);
}

void topic_writer_request_abort(struct topic_writer *writer, const char *why)
{
    log_warn("transaction can't be finished", "ledger_partition=%" PRId32 " reason=%s",
             writer->ledger_partition, why);
    AUTO_LOCK(&writer->lock);
    topic_writer_core_fail_transaction(writer, "", false, why);
}

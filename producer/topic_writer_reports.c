#include "producer/topic_writer_reports.h"

#include <stdio.h>
#include <stdlib.h>

#include "producer/delivery_report.h"

/* ---- failures ---- */

/* NULL: it says nothing about the topic itself. */
static const char *reason_of_topic(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "no right to write to it";
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return "the topic or its partition is not there";
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return "a policy of the brokers forbids its records";
    default:
        return NULL;
    }
}

/* The whole transaction failed, and this record only with it. */
static bool says_nothing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
           code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || code == RD_KAFKA_RESP_ERR__STATE;
}

void topic_writer_reports_note_error(struct topic_writer *writer,
                                     struct writer_account *account, enum record_kind kind,
                                     rd_kafka_resp_err_t code, const char *topic)
{
    const char *of_topic = reason_of_topic(code);

    AUTO_LOCK(&writer->lock);
    if (says_nothing(code) && writer->trouble.purged)
        return;
    writer->trouble.kafka_failed = true;
    if (says_nothing(code)) {
        writer->trouble.must_abort = true;
        pthread_cond_broadcast(&writer->changed);
        return;
    }
    topic_writer_core_fail_transaction(writer, topic, false,
                                       of_topic ? of_topic : rd_kafka_err2str(code));
    if (kind == RECORD_LEDGER) {
        writer->trouble.ledger_failed = true;
    } else if (of_topic && !account->named.is_set) {
        account->named.is_set = true;
        snprintf(account->named.topic, sizeof(account->named.topic), "%s", topic);
        snprintf(account->named.reason, sizeof(account->named.reason), "%s", of_topic);
    }
}

/* librdkafka gives the next batch a number that the broker does not expect, so it would refuse
 * every later batch of that partition too: the handle is of no use any more. */
static void note_refusal(struct topic_writer *writer, const rd_kafka_message_t *message)
{
    struct delivery_report report;

    delivery_report_read(&report, writer->poison, message, writer->alone,
                         writer->dead_letter_topic);
    AUTO_LOCK(&writer->lock);
    topic_writer_core_fail_transaction(writer, report.topic, report.halts, report.reason);
    writer->trouble.refused = writer->trouble.refused || !report.halts;
}

/* ---- offsets ---- */

/* The place for it may be gone once the member is removed or the writer not open any more. */
static void give_offset(struct topic_writer *writer, const struct receipt *receipt,
                        int64_t offset)
{
    AUTO_LOCK(&writer->lock);
    if (writer->state == WRITER_OPEN && receipt->account->member)
        *receipt->offset = offset;
}

static struct delivered_end *end_of(struct writer_account *account, int32_t partition)
{
    int32_t count = partition + 1;

    if (count > account->ends_count) {
        account->ends = xrealloc(account->ends, sizeof(*account->ends) * (size_t)count);
        for (int32_t p = account->ends_count; p < count; p++)
            account->ends[p] = (struct delivered_end){.before = -1, .now = -1};
        account->ends_count = count;
    }
    return &account->ends[partition];
}

/* Is the offset not above all offsets of earlier transactions (*ret_before)? Reports of one
 * transaction may come in any order. */
static bool goes_back(struct topic_writer *writer, struct writer_account *account,
                      const rd_kafka_message_t *message, int64_t *ret_before)
{
    uint64_t transaction = atomic_load(&writer->transaction);
    struct delivered_end *end;

    AUTO_LOCK(&writer->ends_lock);
    end = end_of(account, message->partition);
    if (end->transaction != transaction) {
        end->before = MAX(end->before, end->now);
        end->now = -1;
        end->transaction = transaction;
    }
    end->now = MAX(end->now, message->offset);
    *ret_before = end->before;
    return message->offset <= end->before;
}

void topic_writer_reports_note_ends(struct topic_writer *writer, struct writer_account *account,
                                    const int64_t *offsets, int32_t count)
{
    AUTO_LOCK(&writer->ends_lock);
    for (int32_t p = 0; p < count; p++) {
        struct delivered_end *end = end_of(account, p);

        end->before = MAX(end->before, offsets[p]);
    }
}

static void look_at_offset(struct topic_writer *writer, struct writer_account *account,
                           const rd_kafka_message_t *message)
{
    int64_t before;

    if (message->offset < 0) /* not known */
        return;
    if (!goes_back(writer, account, message, &before))
        return;
    AUTO_LOCK(&writer->lock);
    if (!account->loss.is_set)
        account->loss = (struct writer_loss){true, message->partition, message->offset, before};
    writer->trouble.has_loss = true;
    topic_writer_core_fail_transaction(writer, rd_kafka_topic_name(message->rkt), false,
                                       "the topic was made anew");
}

/* ---- reports ---- */

static void wake_for_room(struct topic_writer *writer)
{
    if (!atomic_load(&writer->wants_room) || !topic_writer_core_has_room(writer))
        return;
    AUTO_LOCK(&writer->lock);
    atomic_store(&writer->wants_room, false);
    pthread_cond_broadcast(&writer->changed);
    if (writer->pool)
        step_queue_wake(writer->pool, &writer->waiting);
}

static void delivered(struct topic_writer *writer, const struct receipt *receipt,
                      const rd_kafka_message_t *message)
{
    atomic_fetch_add(&receipt->account->delivered[receipt->kind], 1);
    if (receipt->kind == RECORD_DATA && receipt->account != writer->nobody)
        look_at_offset(writer, receipt->account, message);
    if (receipt->offset)
        give_offset(writer, receipt, message->offset);
}

void topic_writer_reports_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message,
                                      void *opaque)
{
    struct topic_writer *writer = opaque;
    struct receipt *receipt = message->_private;
    struct writer_account *account = receipt->account;

    (void)rk;
    atomic_fetch_add(&writer->reports, 1);
    atomic_fetch_sub(&writer->waiting_bytes, (long)(message->len + message->key_len));
    atomic_fetch_sub(&writer->waiting_records, 1);
    if (!message->err)
        delivered(writer, receipt, message);
    else if (delivery_report_is_refusal(message->err))
        note_refusal(writer, message);
    else
        topic_writer_reports_note_error(writer, account, receipt->kind, message->err,
                                        rd_kafka_topic_name(message->rkt));
    if (receipt->offset)
        free(receipt);
    wake_for_room(writer);
    atomic_fetch_sub(&account->unreported, 1); /* now it may be freed */
}

void *topic_writer_reports_loop(void *arg)
{
    struct topic_writer *writer = arg;

    while (!atomic_load(&writer->reporter_stops))
        rd_kafka_poll(writer->rk, 100);
    return NULL;
}

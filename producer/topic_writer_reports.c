/* Delivery reports: what they say of a transaction, and of the member whose record it was.
 *
 * On the thread that serves them, and on the committer's while it flushes. */
#include <stdio.h>
#include <stdlib.h>

#include "producer/delivery_report.h"
#include "producer/topic_writer_internal.h"

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

/* The whole transaction failed, and this record with it. */
static bool is_only_along(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
           code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || code == RD_KAFKA_RESP_ERR__STATE;
}

void writer_note(struct topic_writer *w, const char *topic, bool stops, const char *reason)
{
    struct trouble *t = &w->trouble;

    t->must_abort = true;
    pthread_cond_broadcast(&w->changed);
    if (t->is_set && (t->stops || !stops))
        return;
    t->is_set = true;
    t->stops = stops;
    snprintf(t->topic, sizeof(t->topic), "%s", topic);
    snprintf(t->reason, sizeof(t->reason), "%s", reason);
}

void writer_note_code(struct topic_writer *w, struct writer_account *a, enum record_kind kind,
                      rd_kafka_resp_err_t code, const char *topic)
{
    const char *of_topic = reason_of_topic(code);

    AUTO_LOCK(&w->lock);
    if (is_only_along(code) && w->trouble.purged)
        return;
    w->trouble.kafka_failed = true;
    if (is_only_along(code)) {
        w->trouble.must_abort = true;
        pthread_cond_broadcast(&w->changed);
        return;
    }
    writer_note(w, topic, false, of_topic ? of_topic : rd_kafka_err2str(code));
    if (kind == RECORD_LEDGER) {
        w->trouble.ledger_failed = true;
    } else if (of_topic && !a->named.is_set) {
        a->named.is_set = true;
        snprintf(a->named.topic, sizeof(a->named.topic), "%s", topic);
        snprintf(a->named.reason, sizeof(a->named.reason), "%s", of_topic);
    }
}

/* The number that follows is not the one that the broker waits for: every later batch of that
 * partition would be refused too. */
static void note_refusal(struct topic_writer *w, const rd_kafka_message_t *m)
{
    struct delivery_report report;

    delivery_report_read(&report, w->poison, m, w->alone, w->dead_letter_topic);
    AUTO_LOCK(&w->lock);
    writer_note(w, report.topic, report.stops, report.reason);
    w->trouble.refused = w->trouble.refused || !report.stops;
}

/* ---- offsets ---- */

/* Whoever wants the offset may be gone when the member has left, or the writer is open no more.
 */
static void give_offset(struct topic_writer *w, const struct receipt *r, int64_t offset)
{
    AUTO_LOCK(&w->lock);
    if (w->state == WRITER_OPEN && r->account->member)
        *r->offset = offset;
}

static struct delivered_end *end_of(struct writer_account *a, int32_t partition)
{
    int32_t count = partition + 1;

    if (count > a->ends_count) {
        a->ends = xrealloc(a->ends, sizeof(*a->ends) * (size_t)count);
        for (int32_t p = a->ends_count; p < count; p++)
            a->ends[p] = (struct delivered_end){.before = -1, .now = -1};
        a->ends_count = count;
    }
    return &a->ends[partition];
}

/* Is the offset one that an earlier transaction had, or below it? Then it is in *ret_before.
 * Reports of one transaction may come in any order. */
static bool goes_back(struct topic_writer *w, struct writer_account *a,
                      const rd_kafka_message_t *m, int64_t *ret_before)
{
    uint64_t transaction = atomic_load(&w->transaction);
    struct delivered_end *end;

    AUTO_LOCK(&w->ends_lock);
    end = end_of(a, m->partition);
    if (end->transaction != transaction) {
        end->before = MAX(end->before, end->now);
        end->now = -1;
        end->transaction = transaction;
    }
    end->now = MAX(end->now, m->offset);
    *ret_before = end->before;
    return m->offset <= end->before;
}

static void look_at_offset(struct topic_writer *w, struct writer_account *a,
                           const rd_kafka_message_t *m)
{
    int64_t before;

    if (m->offset < 0 || !goes_back(w, a, m, &before)) /* below 0: it was not told */
        return;
    AUTO_LOCK(&w->lock);
    if (!a->loss.is_set)
        a->loss = (struct writer_loss){true, m->partition, m->offset, before};
    w->trouble.has_loss = true;
    writer_note(w, rd_kafka_topic_name(m->rkt), false, "the topic was made anew");
}

/* ---- reports ---- */

static void wake_for_room(struct topic_writer *w)
{
    if (!atomic_load(&w->wants_room) || !writer_has_room(w))
        return;
    AUTO_LOCK(&w->lock);
    atomic_store(&w->wants_room, false);
    pthread_cond_broadcast(&w->changed);
    if (w->pool)
        step_queue_wake(w->pool, &w->waiting);
}

static void delivered(struct topic_writer *w, const struct receipt *r,
                      const rd_kafka_message_t *m)
{
    atomic_fetch_add(&r->account->delivered[r->kind], 1);
    if (r->kind == RECORD_DATA && r->account != w->nobody)
        look_at_offset(w, r->account, m);
    if (r->offset)
        give_offset(w, r, m->offset);
}

void writer_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct topic_writer *w = opaque;
    struct receipt *r = m->_private;
    struct writer_account *a = r->account;

    (void)rk;
    atomic_fetch_add(&w->reports, 1);
    atomic_fetch_sub(&w->waiting_bytes, (long)(m->len + m->key_len));
    atomic_fetch_sub(&w->waiting_records, 1);
    if (!m->err)
        delivered(w, r, m);
    else if (delivery_report_is_refusal(m->err))
        note_refusal(w, m);
    else
        writer_note_code(w, a, r->kind, m->err, rd_kafka_topic_name(m->rkt));
    if (r->offset)
        free(r);
    wake_for_room(w);
    atomic_fetch_sub(&a->unreported, 1); /* it may be freed from here on */
}

void *writer_reporter_loop(void *arg)
{
    struct topic_writer *w = arg;

    while (!atomic_load(&w->reporter_stops))
        rd_kafka_poll(w->rk, 100);
    return NULL;
}

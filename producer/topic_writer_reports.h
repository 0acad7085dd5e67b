/* producer/topic_writer_reports.h - delivery reports: what they say about the transaction, and
 * about the member whose record it was.
 *
 * They come on the thread of topic_writer_reports_loop, and on the committer's while it
 * flushes. Neither waits for the gate there, so an appender inside it may wait for room in the
 * queue. For the writer's own files. */
#pragma once

#include "producer/topic_writer_core.h"

/* The delivery callback; opaque: the writer. */
void topic_writer_reports_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message,
                                      void *opaque);
/* Kafka's answer to a record of this account, at its append or in a report: the transaction
 * will be aborted. */
void topic_writer_reports_note_error(struct topic_writer *writer,
                                     struct writer_account *account, enum record_kind kind,
                                     rd_kafka_resp_err_t code, const char *topic);
/* Offsets that the account's own topic gave out before: one that is not above them is a loss.
 */
void topic_writer_reports_note_ends(struct topic_writer *writer, struct writer_account *account,
                                    const int64_t *offsets, int32_t count);
/* A thread that serves reports, until reporter_stops. */
void *topic_writer_reports_loop(void *writer);

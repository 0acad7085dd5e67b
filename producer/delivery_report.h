/* producer/delivery_report.h - what it means that the broker refused a record: is the record
 * poison, is it its topic, or may it be another record of the same batch?
 *
 * A refused batch of several records only makes the next handle send records alone. A data
 * record that was sent alone is remembered as poison. A refused control or ledger record, or
 * one poison record too many, means that the topic itself takes no records. Any thread. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "producer/poison.h"

struct delivery_report {
    bool halts; /* the topic's table */
    char topic[256];
    char reason[256];
};

/* The broker refused this batch for its content. */
bool delivery_report_is_refusal(rd_kafka_resp_err_t code);
/* message: of such a report. alone: it was a batch of its own. Remembers it in poison. */
void delivery_report_read(struct delivery_report *ret, struct poison *poison,
                          const rd_kafka_message_t *message, bool alone,
                          const char *dead_letter_topic);

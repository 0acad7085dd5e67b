/* producer/delivery_report.h - what a delivery report says about a record that the broker
 * refused: is it poison, or its topic, or only its neighbour?
 *
 * A batch of several records only makes the next handle send records alone. A record that was
 * alone is remembered as poison; a control record, a record of the ledger, and one too many say
 * that it is the topic. Any thread. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "producer/poison.h"

struct delivery_report {
    bool stops; /* the topic's table */
    char topic[256];
    char reason[256];
};

/* The broker refused this batch for what is in it. */
bool delivery_report_is_refusal(rd_kafka_resp_err_t code);
void delivery_report_read(struct delivery_report *ret, struct poison *poison,
                          const rd_kafka_message_t *m, bool alone,
                          const char *dead_letter_topic);

#include "producer/delivery_report.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/json/json_text.h"
#include "common/kafka/kafka.h"
#include "common/messages/event.h"

bool delivery_report_is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static struct bytes value_of(const rd_kafka_message_t *message)
{
    return (struct bytes){message->payload, message->len};
}

/* The data topic that a dead letter's record was for. Names of topics hold no JSON escapes. */
static struct bytes topic_of_dead_letter(const rd_kafka_message_t *message)
{
    struct bytes topic = {0};

    if (!json_member(value_of(message), "topic", &topic) || topic.len < 2)
        return (struct bytes){0};
    return (struct bytes){topic.p + 1, topic.len - 2};
}

static enum poison_verdict dead_letter_refused(struct delivery_report *ret,
                                               struct poison *poison,
                                               const rd_kafka_message_t *message)
{
    struct bytes topic = topic_of_dead_letter(message);

    snprintf(ret->topic, sizeof(ret->topic), BYTES_FMT, BYTES_ARG(topic));
    snprintf(ret->reason, sizeof(ret->reason), "its dead letters are refused: %s",
             rd_kafka_err2str(message->err));
    return poison_add_dead_letter(poison, topic);
}

static enum poison_verdict record_refused(struct delivery_report *ret, struct poison *poison,
                                          const rd_kafka_message_t *message)
{
    struct poison_record record = {.topic = bytes_of(ret->topic)};
    enum poison_verdict verdict = POISON_TOO_MANY;
    struct bytes control;

    if (kafka_header(message, EVENT_HEADER_CONTROL, &control)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "it refuses control records (" BYTES_FMT "): %s", BYTES_ARG(control),
                 rd_kafka_err2str(message->err));
    } else if (json_member(value_of(message), "keys", &record.keys)) {
        kafka_header(message, EVENT_HEADER_SHARD, &record.shard);
        kafka_header(message, EVENT_HEADER_SEQUENCE, &record.sequence);
        verdict = poison_add(poison, &record, rd_kafka_err2str(message->err), clock_mono_ms());
        if (verdict == POISON_TOO_MANY)
            snprintf(ret->reason, sizeof(ret->reason),
                     "it has refused more than %d records within an hour, each sent alone: %s",
                     POISON_AT_MOST, rd_kafka_err2str(message->err));
    }
    return verdict;
}

void delivery_report_read(struct delivery_report *ret, struct poison *poison,
                          const rd_kafka_message_t *message, bool alone,
                          const char *dead_letter_topic)
{
    const char *topic = rd_kafka_topic_name(message->rkt);

    ret->halts = false;
    snprintf(ret->topic, sizeof(ret->topic), "%s", topic);
    snprintf(ret->reason, sizeof(ret->reason), "%s", rd_kafka_err2str(message->err));
    if (!alone && !MUTATED(alone))
        poison_batch_refused(poison, clock_mono_ms());
    else if (strcmp(topic, dead_letter_topic) == 0)
        ret->halts = dead_letter_refused(ret, poison, message) == POISON_TOO_MANY;
    else
        ret->halts = record_refused(ret, poison, message) == POISON_TOO_MANY;
}

#include "consumer/letter_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/json/json_text.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/dead_letter.h"
#include "common/run/log.h"
#include "common/run/stop.h"

#define POLL_MS 200
#define QUEUE_KBYTES "16384"

struct letter_reader {
    const struct config *config;
    int64_t limit_ms;
    char *topic;
    rd_kafka_t *rk;
};

/* One pass over the topic. */
struct pass {
    struct letter_reader *reader;
    struct letter_list *letters;
    const char *table; /* NULL: all */
    int64_t end;
    int64_t next; /* the first that did not fit; -1: none */
    bool over;
};

/* ---- life ---- */

int letter_reader_new(struct letter_reader **ret, const struct config *config,
                      struct error *err)
{
    static const struct kafka_setting settings[] = {
        {"group.id", "dynaferry-dead-letter-reader"},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},
        {"queued.max.messages.kbytes", QUEUE_KBYTES},
        {NULL, NULL}};
    AUTO(letter_reader_freep) struct letter_reader *reader = xcalloc(1, sizeof(*reader));
    rd_kafka_conf_t *conf = NULL;

    reader->config = config;
    reader->limit_ms = config_int(config, "start.timeout") * 1000;
    reader->topic = kafka_dead_letter_topic(config);
    if (kafka_conf_new(&conf, config, "dead-letter-reader", settings, err) < 0 ||
        kafka_handle_new(&reader->rk, RD_KAFKA_CONSUMER, &conf, err) < 0)
        return -1;
    rd_kafka_poll_set_consumer(reader->rk);
    if (kafka_wait_broker(reader->rk, config, reader->limit_ms, err) < 0)
        return -1;
    *ret = TAKE(reader);
    return 0;
}

void letter_reader_free(struct letter_reader *reader)
{
    if (!reader)
        return;
    if (reader->rk) {
        rd_kafka_consumer_close(reader->rk);
        rd_kafka_destroy(reader->rk);
    }
    free(reader->topic);
    free(reader);
}

/* ---- records ---- */

static void take_letter(struct pass *pass, const struct dead_letter_seen *seen,
                        const rd_kafka_message_t *message)
{
    AUTO(free_charp) char *table = json_unescape_dup(seen->table, NULL);

    if (pass->next >= 0 || (pass->table && strcmp(table, pass->table) != 0))
        return;
    if (!letter_list_add(pass->letters, message->offset, bytes_of(table), seen->keys,
                         (struct bytes){message->key, message->key_len}))
        pass->next = message->offset;
}

static void take_record(struct pass *pass, const rd_kafka_message_t *message)
{
    struct dead_letter_seen seen;
    struct error err = {0};

    if (message->offset >= pass->end) {
        pass->over = true;
        return;
    }
    if (dead_letter_see(&seen, (struct bytes){message->payload, message->len}, &err) < 0)
        log_warn("record is no dead letter", "topic=%s offset=%" PRId64 " reason=%s",
                 pass->reader->topic, message->offset, err.message);
    else if (!seen.is_mark)
        take_letter(pass, &seen, message);
    else if (seen.partition == LETTER_READER_PARTITION)
        letter_list_mark(pass->letters, seen.offset);
}

/* true: it came nearer to the end. */
static bool take_message(struct pass *pass, const rd_kafka_message_t *message)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        take_record(pass, message);
        return true;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        pass->over = message->offset >= pass->end;
        return true;
    default:
        log_warn("dead letters can't be read now", "topic=%s reason=%s", pass->reader->topic,
                 rd_kafka_err2str(message->err));
        return false;
    }
}

/* ---- a pass ---- */

static int start_at(struct letter_reader *reader, int64_t offset, struct error *err)
{
    AUTO(rd_kafka_listp)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_add(list, reader->topic, LETTER_READER_PARTITION)->offset =
        offset;
    code = rd_kafka_assign(reader->rk, list);
    return code ? error_set(err, ERR_RETRY, "topic %s: %s", reader->topic,
                            rd_kafka_err2str(code))
                : 0;
}

static int no_answer(const struct letter_reader *reader, struct error *err)
{
    return error_fatal(err, EXIT_UNREACHABLE, "topic %s can't be read to its end",
                       reader->topic);
}

static int read_to_end(struct pass *pass, struct error *err)
{
    int64_t end = clock_mono_ms() + pass->reader->limit_ms;

    while (!pass->over) {
        AUTO(rd_kafka_messagep)
        rd_kafka_message_t *message = rd_kafka_consumer_poll(pass->reader->rk, POLL_MS);

        if (stop_requested())
            return error_set(err, ERR_RETRY, "interrupted");
        if (message && take_message(pass, message))
            end = clock_mono_ms() + pass->reader->limit_ms;
        else if (clock_mono_ms() >= end)
            return no_answer(pass->reader, err);
    }
    return 0;
}

/* In *ret the offset to begin at; the end is as a reader of committed records sees it. */
static int look_at_topic(struct pass *pass, int64_t from, int64_t *ret, struct error *err)
{
    struct letter_reader *reader = pass->reader;
    int64_t end_ms = clock_mono_ms() + reader->limit_ms, begin;

    while (kafka_topic_begin_offsets(&begin, reader->rk, reader->topic, LETTER_READER_PARTITION,
                                     1, reader->limit_ms, err) < 0 ||
           kafka_topic_end_offsets(&pass->end, reader->rk, reader->topic,
                                   LETTER_READER_PARTITION, 1, reader->limit_ms, err) < 0)
        if (kafka_start_again(reader->config, end_ms, err) < 0)
            return -1;
    *ret = MAX(from, begin);
    return 0;
}

int letter_reader_read(struct letter_reader *reader, struct letter_list *letters,
                       const char *table, int64_t from, int64_t *ret_next, struct error *err)
{
    struct pass pass = {.reader = reader, .letters = letters, .table = table, .next = -1};
    int64_t start;

    if (look_at_topic(&pass, from, &start, err) < 0)
        return -1;
    if (start < pass.end && (start_at(reader, start, err) < 0 || read_to_end(&pass, err) < 0))
        return -1;
    *ret_next = pass.next;
    return pass.next >= 0;
}

#include "consumer/letter_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/json/json_text.h"
#include "common/kafka/kafka_ranges.h"
#include "common/kafka/kafka_topic.h"
#include "common/messages/dead_letter.h"
#include "common/run/log.h"
#include "common/run/stop.h"

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
    int64_t next;      /* the first that did not fit; -1: none */
};

/* ---- life ---- */

int letter_reader_new(struct letter_reader **ret, const struct config *config,
                      struct error *err)
{
    AUTO(letter_reader_freep) struct letter_reader *reader = xcalloc(1, sizeof(*reader));

    reader->config = config;
    reader->limit_ms = config_int(config, "start.timeout") * 1000;
    reader->topic = kafka_dead_letter_topic(config);
    if (kafka_ranges_handle(&reader->rk, config, "dead-letter-reader", err) < 0 ||
        kafka_wait_broker(reader->rk, config, reader->limit_ms, err) < 0)
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

static bool take_record(void *arg, struct kafka_range *range, const rd_kafka_message_t *message)
{
    struct pass *pass = arg;
    struct dead_letter_seen seen;
    struct error err = {0};

    if (dead_letter_see(&seen, (struct bytes){message->payload, message->len}, &err) < 0)
        log_warn("record is no dead letter", "topic=%s offset=%" PRId64 " reason=%s",
                 range->topic, message->offset, err.message);
    else if (!seen.is_mark)
        take_letter(pass, &seen, message);
    else if (seen.partition == LETTER_READER_PARTITION)
        letter_list_mark(pass->letters, seen.offset);
    return true;
}

/* ---- a pass ---- */

/* The end is as a reader of committed records sees it. */
static int find_ends(struct letter_reader *reader, int64_t from, struct kafka_range *ret,
                     struct error *err)
{
    int64_t end_ms = clock_mono_ms() + reader->limit_ms, begin;

    *ret = (struct kafka_range){.topic = reader->topic, .partition = LETTER_READER_PARTITION};
    while (kafka_topic_begin_offsets(&begin, reader->rk, reader->topic, LETTER_READER_PARTITION,
                                     1, reader->limit_ms, err) < 0 ||
           kafka_topic_end_offsets(&ret->to, reader->rk, reader->topic, LETTER_READER_PARTITION,
                                   1, reader->limit_ms, err) < 0)
        if (kafka_start_again(reader->config, end_ms, err) < 0)
            return -1;
    ret->from = MAX(from, begin);
    return 0;
}

static int not_read(struct error *err)
{
    err->kind = ERR_FATAL;
    err->code = EXIT_UNREACHABLE;
    return -1;
}

int letter_reader_read(struct letter_reader *reader, struct letter_list *letters,
                       const char *table, int64_t from, int64_t *ret_next, struct error *err)
{
    struct pass pass = {.reader = reader, .letters = letters, .table = table, .next = -1};
    struct kafka_range range;
    const struct kafka_ranges ranges = {.list = &range,
                                        .count = 1,
                                        .limit_ms = reader->limit_ms,
                                        .each = take_record,
                                        .arg = &pass};

    if (find_ends(reader, from, &range, err) < 0)
        return -1;
    if (kafka_ranges_read(reader->rk, &ranges, err) < 0)
        return stop_requested() ? -1 : not_read(err);
    *ret_next = pass.next;
    return pass.next >= 0;
}

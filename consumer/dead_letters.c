#include "consumer/dead_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/messages/dead_letter.h"

/* Beside the value: names, keys, reason, headers and Kafka's own framing. */
#define LETTER_RESERVE 65536
#define MESSAGE_TIMEOUT "30000"
#define PURGE_MS 1000

struct dead_letters {
    rd_kafka_t *rk;
    char *topic;
    size_t max_value; /* of the refused record, before base64 */

    pthread_mutex_t lock; /* of the rounds */
};

struct dead_letters_round {
    /* set once */
    struct dead_letters *to;
    void (*ended)(void *arg);
    void *arg;

    /* under the lock */
    bool dropped; /* by its caller */
    int pending;
    int failed;
    char why[128]; /* the last failure */
};

/* One letter less is under way. A dropped round is freed with its last one. */
static void letter_ended(struct dead_letters_round *round, const char *failure)
{
    struct dead_letters *to = round->to;
    void (*ended)(void *arg) = round->ended;
    void *arg = round->arg;
    bool last, dropped;

    {
        AUTO_LOCK(&to->lock);
        last = --round->pending == 0;
        dropped = round->dropped;
        if (failure) {
            round->failed++;
            snprintf(round->why, sizeof(round->why), "%s", failure);
        }
    }
    if (last && dropped)
        free(round);
    else if (last)
        ended(arg);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    letter_ended(message->_private, message->err ? rd_kafka_err2str(message->err) : NULL);
}

int dead_letters_new(struct dead_letters **ret, const struct config *c, struct error *err)
{
    AUTO(dead_letters_freep) struct dead_letters *letters = xcalloc(1, sizeof(*letters));
    int64_t max_bytes = config_int(c, "topic.max.message.bytes");
    AUTO(free_charp) char *limit = xasprintf("%" PRId64, max_bytes);
    const struct kafka_setting settings[] = {{"enable.idempotence", "false"},
                                             {"acks", "all"},
                                             {"message.max.bytes", limit},
                                             {"message.timeout.ms", MESSAGE_TIMEOUT},
                                             {"queue.buffering.max.kbytes", "32768"},
                                             {"linger.ms", "1"},
                                             {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    pthread_mutex_init(&letters->lock, NULL);
    letters->topic = kafka_dead_letter_topic(c);
    letters->max_value =
        max_bytes > LETTER_RESERVE ? (size_t)(max_bytes - LETTER_RESERVE) / 4 * 3 : 0;
    if (kafka_conf_new(&conf, c, "dead-letter", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (kafka_handle_new(&letters->rk, RD_KAFKA_PRODUCER, &conf, err) < 0)
        return -1;
    *ret = TAKE(letters);
    return 0;
}

void dead_letters_free(struct dead_letters *letters)
{
    if (!letters)
        return;
    if (letters->rk) {
        rd_kafka_purge(letters->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(letters->rk, PURGE_MS); /* each round hears of its letters */
        rd_kafka_destroy(letters->rk);
    }
    pthread_mutex_destroy(&letters->lock);
    free(letters->topic);
    free(letters);
}

void dead_letters_poll(struct dead_letters *letters, int timeout_ms)
{
    rd_kafka_poll(letters->rk, timeout_ms);
}

/* ---- a letter ---- */

static void write_headers(struct buf *out, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t len;

    rd_kafka_message_headers(message, &headers);
    for (size_t i = 0; headers && !rd_kafka_header_get_all(headers, i, &name, &value, &len);
         i++)
        dead_letter_header(out, bytes_of(name), (struct bytes){value, value ? len : 0});
    if (out->len)
        buf_char(out, '}');
}

/* An answer of the server may hold anything; a letter is ASCII there. */
static void copy_ascii(char *ret, size_t size, const char *text)
{
    snprintf(ret, size, "%s", text);
    for (; *ret; ret++)
        if ((unsigned char)*ret >= 0x7f)
            *ret = '?';
}

static void write_letter(struct buf *out, const struct dead_letters *letters,
                         const rd_kafka_message_t *message, const struct event *ev,
                         const char *table, const char *reason)
{
    struct buf headers;
    char why[600];
    struct dead_letter letter = {
        .stage = BYTES_LIT("consumer"),
        .table = bytes_of(table),
        .topic = bytes_of(rd_kafka_topic_name(message->rkt)),
        .partition = message->partition,
        .offset = message->offset,
        .generation = ev ? ev->source.generation : 0,
        .keys = ev ? ev->keys : (struct bytes){0},
        .ts_ms = clock_wall_ms(),
        .old_document_stays = ev != NULL,
    };

    copy_ascii(why, sizeof(why), reason);
    letter.reason = bytes_of(why);
    buf_init(&headers, LETTER_RESERVE);
    write_headers(&headers, message);
    letter.headers = headers.overflow ? (struct bytes){0} : buf_slice(&headers);
    if (message->len <= letters->max_value)
        letter.value = (struct bytes){message->payload, message->len};
    dead_letter_encode(out, &letter);
    buf_release(&headers);
}

static rd_kafka_resp_err_t produce(struct dead_letters_round *round,
                                   const rd_kafka_message_t *message, const struct buf *value)
{
    AUTO(free_charp)
    char *key = xasprintf("%s/%" PRId32 "/%" PRId64, rd_kafka_topic_name(message->rkt),
                          message->partition, message->offset);

    return rd_kafka_producev(
        round->to->rk, RD_KAFKA_V_TOPIC(round->to->topic), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(value->p, value->len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(round), RD_KAFKA_V_END);
}

/* ---- rounds ---- */

struct dead_letters_round *dead_letters_round_new(struct dead_letters *letters,
                                                  void (*ended)(void *arg), void *arg)
{
    struct dead_letters_round *round = xcalloc(1, sizeof(*round));

    round->to = letters;
    round->ended = ended;
    round->arg = arg;
    return round;
}

void dead_letters_round_drop(struct dead_letters_round *round)
{
    bool pending;

    if (!round)
        return;
    {
        AUTO_LOCK(&round->to->lock);
        round->dropped = true;
        pending = round->pending > 0;
    }
    if (!pending)
        free(round);
}

void dead_letters_send(struct dead_letters_round *round, const rd_kafka_message_t *message,
                       const struct event *ev, const char *table, const char *reason)
{
    struct buf value;
    rd_kafka_resp_err_t code;

    {
        AUTO_LOCK(&round->to->lock);
        round->pending++;
    }
    buf_init(&value, SIZE_MAX / 4);
    write_letter(&value, round->to, message, ev, table, reason);
    code = produce(round, message, &value);
    buf_release(&value);
    if (code)
        letter_ended(round, rd_kafka_err2str(code));
}

enum dead_letters_result dead_letters_round_result(struct dead_letters_round *round,
                                                   struct error *err)
{
    AUTO_LOCK(&round->to->lock);
    if (round->pending > 0)
        return DEAD_LETTERS_UNDER_WAY;
    if (round->failed == 0)
        return DEAD_LETTERS_RECEIVED;
    error_set(err, ERR_RETRY, "%d dead letters were not acknowledged: %s", round->failed,
              round->why);
    return DEAD_LETTERS_FAILED;
}

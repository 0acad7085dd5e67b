#include "consumer/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"

/* Beside the value: names, keys, reason, headers and Kafka's own framing. */
#define LETTER_RESERVE 65536
#define MESSAGE_TIMEOUT "30000"

struct dead_letters {
    rd_kafka_t *rk;
    char *topic;
    size_t max_value; /* of the refused record, before base64 */

    pthread_mutex_t lock; /* of the rounds' counters */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct dead_letter_round *r = m->_private;

    (void)rk;
    (void)opaque;
    AUTO_LOCK(&r->to->lock);
    r->pending--;
    if (m->err)
        r->failed++;
}

int dead_letters_new(struct dead_letters **ret, const struct config *c, struct error *err)
{
    AUTO(dead_letters_freep) struct dead_letters *d = xcalloc(1, sizeof(*d));
    int64_t max_bytes = config_int(c, "topic.max.message.bytes");
    AUTO(free_charp) char *limit = xasprintf("%" PRId64, max_bytes);
    const struct kafka_setting settings[] = {{"enable.idempotence", "true"},
                                             {"acks", "all"},
                                             {"message.max.bytes", limit},
                                             {"message.timeout.ms", MESSAGE_TIMEOUT},
                                             {"queue.buffering.max.kbytes", "32768"},
                                             {"linger.ms", "1"},
                                             {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    pthread_mutex_init(&d->lock, NULL);
    d->topic = kafka_dead_letter_topic(c);
    d->max_value =
        max_bytes > LETTER_RESERVE ? (size_t)(max_bytes - LETTER_RESERVE) / 4 * 3 : 0;
    if (kafka_conf_new(&conf, c, "dead-letter", settings, err) < 0)
        return -1;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (kafka_handle_new(&d->rk, RD_KAFKA_PRODUCER, &conf, err) < 0)
        return -1;
    *ret = TAKE(d);
    return 0;
}

void dead_letters_free(struct dead_letters *d)
{
    if (!d)
        return;
    if (d->rk)
        rd_kafka_destroy(d->rk);
    pthread_mutex_destroy(&d->lock);
    free(d->topic);
    free(d);
}

void dead_letter_round_init(struct dead_letter_round *r, struct dead_letters *d)
{
    *r = (struct dead_letter_round){.to = d};
}

static void write_headers(struct buf *out, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t len;

    rd_kafka_message_headers(m, &headers);
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

static void write_letter(struct buf *out, const struct dead_letters *d,
                         const rd_kafka_message_t *m, const struct event *ev, const char *table,
                         const char *reason)
{
    struct buf headers;
    char why[600];
    struct dead_letter letter = {
        .stage = BYTES_LIT("consumer"),
        .table = bytes_of(table),
        .topic = bytes_of(rd_kafka_topic_name(m->rkt)),
        .partition = m->partition,
        .offset = m->offset,
        .generation = ev ? ev->source.generation : 0,
        .keys = ev ? ev->keys : (struct bytes){0},
        .ts_ms = clock_wall_ms(),
        .old_document_stays = ev != NULL,
    };

    copy_ascii(why, sizeof(why), reason);
    letter.reason = bytes_of(why);
    buf_init(&headers, LETTER_RESERVE);
    write_headers(&headers, m);
    letter.headers = headers.overflow ? (struct bytes){0} : buf_slice(&headers);
    if (m->len <= d->max_value)
        letter.value = (struct bytes){m->payload, m->len};
    dead_letter_encode(out, &letter);
    buf_release(&headers);
}

static int produce(struct dead_letter_round *r, const rd_kafka_message_t *m, struct buf *value,
                   struct error *err)
{
    AUTO(free_charp)
    char *key = xasprintf("%s/%" PRId32 "/%" PRId64, rd_kafka_topic_name(m->rkt), m->partition,
                          m->offset);
    rd_kafka_resp_err_t code;

    do {
        code = rd_kafka_producev(
            r->to->rk, RD_KAFKA_V_TOPIC(r->to->topic), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE(value->p, value->len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_OPAQUE(r), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(r->to->rk, 100);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (!code)
        return 0;
    AUTO_LOCK(&r->to->lock);
    r->pending--;
    return error_set(err, ERR_RETRY, "dead letter %s: %s", key, rd_kafka_err2str(code));
}

int dead_letter_send(struct dead_letter_round *r, const rd_kafka_message_t *m,
                     const struct event *ev, const char *table, const char *reason,
                     struct error *err)
{
    struct buf value;
    int result;

    auto_lock(&r->to->lock);
    r->pending++;
    pthread_mutex_unlock(&r->to->lock);
    buf_init(&value, SIZE_MAX / 4);
    write_letter(&value, r->to, m, ev, table, reason);
    result = produce(r, m, &value, err);
    buf_release(&value);
    return result;
}

/* Any thread's poll may serve this round's reports: so look again after each. */
int dead_letter_wait(struct dead_letter_round *r, struct error *err)
{
    for (;;) {
        int pending, failed;

        auto_lock(&r->to->lock);
        pending = r->pending;
        failed = r->failed;
        pthread_mutex_unlock(&r->to->lock);
        if (!pending && failed)
            return error_set(err, ERR_RETRY, "%d dead letters were not acknowledged", failed);
        if (!pending)
            return 0;
        rd_kafka_poll(r->to->rk, 20);
    }
}

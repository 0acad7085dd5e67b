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

struct dead_letter_round {
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
static void letter_ended(struct dead_letter_round *r, const char *failure)
{
    struct dead_letters *to = r->to;
    void (*ended)(void *arg) = r->ended;
    void *arg = r->arg;
    bool last, dropped;

    auto_lock(&to->lock);
    last = --r->pending == 0;
    dropped = r->dropped;
    if (failure) {
        r->failed++;
        snprintf(r->why, sizeof(r->why), "%s", failure);
    }
    pthread_mutex_unlock(&to->lock);
    if (last && dropped)
        free(r);
    else if (last)
        ended(arg);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    letter_ended(m->_private, m->err ? rd_kafka_err2str(m->err) : NULL);
}

int dead_letters_new(struct dead_letters **ret, const struct config *c, struct error *err)
{
    AUTO(dead_letters_freep) struct dead_letters *d = xcalloc(1, sizeof(*d));
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
    if (d->rk) {
        rd_kafka_purge(d->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(d->rk, PURGE_MS); /* each round hears of its letters */
        rd_kafka_destroy(d->rk);
    }
    pthread_mutex_destroy(&d->lock);
    free(d->topic);
    free(d);
}

void dead_letters_poll(struct dead_letters *d, int timeout_ms)
{
    rd_kafka_poll(d->rk, timeout_ms);
}

/* ---- a letter ---- */

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

static rd_kafka_resp_err_t produce(struct dead_letter_round *r, const rd_kafka_message_t *m,
                                   const struct buf *value)
{
    AUTO(free_charp)
    char *key = xasprintf("%s/%" PRId32 "/%" PRId64, rd_kafka_topic_name(m->rkt), m->partition,
                          m->offset);

    return rd_kafka_producev(
        r->to->rk, RD_KAFKA_V_TOPIC(r->to->topic), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(value->p, value->len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(r), RD_KAFKA_V_END);
}

/* ---- rounds ---- */

struct dead_letter_round *dead_letter_round_new(struct dead_letters *d,
                                                void (*ended)(void *arg), void *arg)
{
    struct dead_letter_round *r = xcalloc(1, sizeof(*r));

    r->to = d;
    r->ended = ended;
    r->arg = arg;
    return r;
}

void dead_letter_round_drop(struct dead_letter_round *r)
{
    struct dead_letters *to;
    bool pending;

    if (!r)
        return;
    to = r->to;
    auto_lock(&to->lock);
    r->dropped = true;
    pending = r->pending > 0;
    pthread_mutex_unlock(&to->lock);
    if (!pending)
        free(r);
}

void dead_letter_send(struct dead_letter_round *r, const rd_kafka_message_t *m,
                      const struct event *ev, const char *table, const char *reason)
{
    struct buf value;
    rd_kafka_resp_err_t code;

    auto_lock(&r->to->lock);
    r->pending++;
    pthread_mutex_unlock(&r->to->lock);
    buf_init(&value, SIZE_MAX / 4);
    write_letter(&value, r->to, m, ev, table, reason);
    code = produce(r, m, &value);
    buf_release(&value);
    if (code)
        letter_ended(r, rd_kafka_err2str(code));
}

enum dead_letter_result dead_letter_round_result(struct dead_letter_round *r, struct error *err)
{
    AUTO_LOCK(&r->to->lock);
    if (r->pending > 0)
        return DEAD_LETTERS_UNDER_WAY;
    if (r->failed == 0)
        return DEAD_LETTERS_RECEIVED;
    error_set(err, ERR_RETRY, "%d dead letters were not acknowledged: %s", r->failed, r->why);
    return DEAD_LETTERS_FAILED;
}

/* consumer/dead_letters.h - what can't be applied goes to <prefix>-dead-letter, before the
 * position moves past it.
 *
 * The message key is <topic>/<partition>/<offset>, so that a second try is told from a second
 * record. One producer for all threads; not an idempotent one, which an error may end for good,
 * since a letter that stands there twice does no harm. Nothing here waits for a broker. */
#pragma once

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/kafka.h"
#include "common/messages/event.h"

struct dead_letters;

int dead_letters_new(struct dead_letters **ret, const struct config *c, struct error *err);
void dead_letters_free(struct dead_letters *d);
DEFINE_FREEP(struct dead_letters, dead_letters_freep, dead_letters_free)
/* Serves receipts, for at most timeout_ms: rounds end here. */
void dead_letters_poll(struct dead_letters *d, int timeout_ms);

/* The letters of one batch. */
struct dead_letter_round;
enum dead_letter_result {
    DEAD_LETTERS_UNDER_WAY,
    DEAD_LETTERS_RECEIVED, /* all, or there were none */
    DEAD_LETTERS_FAILED,
};
/* ended: called from dead_letters_poll when the last one is told of, unless it was dropped. */
struct dead_letter_round *dead_letter_round_new(struct dead_letters *d,
                                                void (*ended)(void *arg), void *arg);
/* The caller does not want to know any more. NULL is fine. */
void dead_letter_round_drop(struct dead_letter_round *r);
/* ev NULL: a message that is no event. Kafka does not take it now: the round has failed. */
void dead_letter_send(struct dead_letter_round *r, const rd_kafka_message_t *m,
                      const struct event *ev, const char *table, const char *reason);
enum dead_letter_result dead_letter_round_result(struct dead_letter_round *r,
                                                 struct error *err);

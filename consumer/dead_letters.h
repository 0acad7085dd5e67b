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

int dead_letters_new(struct dead_letters **ret, const struct config *config, struct error *err);
void dead_letters_free(struct dead_letters *letters);
DEFINE_FREEP(struct dead_letters, dead_letters_freep, dead_letters_free)
/* Serves receipts, for at most timeout_ms: rounds end here. */
void dead_letters_poll(struct dead_letters *letters, int timeout_ms);

/* The letters of one batch. */
struct dead_letters_round;
enum dead_letters_result {
    DEAD_LETTERS_UNDER_WAY,
    DEAD_LETTERS_RECEIVED, /* all, or there were none */
    DEAD_LETTERS_FAILED,
};
/* ended: called without a lock when none of its letters is under way any more, unless it was
 * dropped: from dead_letters_poll, or from dead_letters_send when Kafka does not take one. */
struct dead_letters_round *dead_letters_round_new(struct dead_letters *letters,
                                                  void (*ended)(void *arg), void *arg);
/* The caller does not want to know any more, or has the result. NULL is fine. */
void dead_letters_round_drop(struct dead_letters_round *round);
/* ev NULL: a message that is no event. If Kafka does not take it now, the round has failed. */
void dead_letters_send(struct dead_letters_round *round, const rd_kafka_message_t *message,
                       const struct event *ev, const char *table, const char *reason);
enum dead_letters_result dead_letters_round_result(struct dead_letters_round *round,
                                                   struct error *err);

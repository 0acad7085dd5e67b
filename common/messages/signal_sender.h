/* common/messages/signal_sender.h - sends requests to the producers that own tables.
 *
 * A request that is sent twice, because a receipt was lost, has the same id twice: the producer
 * that idempotence would need may be ended for good by an error, and a second one does no harm.
 * Any thread, several at a time. */
#pragma once

#include "common/config/config.h"
#include "common/messages/table_signal.h"

struct signal_sender;

/* client: the sender that requests name. Waits for nothing. config must live as long. */
int signal_sender_new(struct signal_sender **ret, const struct config *config,
                      const char *client, struct error *err);
/* Receipts that are still awaited are not waited for. */
void signal_sender_free(struct signal_sender *sender);
DEFINE_FREEP(struct signal_sender, signal_sender_freep, signal_sender_free)

/* Waits for a broker up to start.timeout (ERR_FATAL 69); ERR_FATAL 69 also when there is no
 * signal topic. ERR_RETRY at a stop. */
int signal_sender_wait(struct signal_sender *sender, struct error *err);

/* What a request lacks of id, sender and ts_ms (NULL, NULL, 0) is filled in.
 *
 * Waits for the receipt, at most 10 s; *ret_offset is the request's place in the topic.
 * ERR_RETRY: Kafka does not have it, or nobody knows; ERR_DATA: it is too long. */
int signal_sender_send(struct signal_sender *sender, const struct table_signal *signal,
                       int64_t *ret_offset, struct error *err);
/* Does not wait. A refusal is logged when its report comes, which the next post or
 * signal_sender_serve serves. */
void signal_sender_post(struct signal_sender *sender, const struct table_signal *signal);
void signal_sender_serve(struct signal_sender *sender);

/* A name that no other request has: 16 hex digits. The caller frees. */
char *signal_sender_id(void);

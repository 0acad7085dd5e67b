/* consumer/snapshot_request.h - asks the producer for a new generation of a table whose log
 * does not bring what a partition has to apply next.
 *
 * The request names the generation that is to be replaced, so that it is void once another one
 * has begun, however often and by however many it was sent. It is repeated, ever more rarely,
 * while nobody takes it. With on_gap = fail nothing is asked for. Any thread. */
#pragma once

#include "common/config/config.h"
#include "common/messages/signal_sender.h"
#include "consumer/table.h"

struct snapshot_request;

int snapshot_request_new(struct snapshot_request **ret, const struct config *config,
                         struct error *err);
/* NULL is fine. */
void snapshot_request_free(struct snapshot_request *requests);
/* What becomes of the table, for whoever reads why it is halted. Sends nothing when it was
 * asked for lately. */
const char *snapshot_request_send(struct snapshot_request *requests, struct table *table,
                                  int64_t generation, const char *reason);

/* fullcheck/repair.h - asks the producer that owns a table to send items again.
 *
 * A request on the signal topic: the owner reads the items anew and appends them in order with
 * the changes. Nothing is ever written to MongoDB or a data topic from here. Any thread. */
#pragma once

#include "common/config/config.h"
#include "common/messages/table_signal.h"

struct repair;

/* Waits for a broker up to start.timeout. ERR_FATAL also when there is no signal topic. */
int repair_new(struct repair **ret, const struct config *config, struct error *err);
void repair_free(struct repair *repair);
DEFINE_FREEP(struct repair, repair_freep, repair_free)

/* Up to TABLE_SIGNAL_KEYS_AT_MOST canonical keys. true: the broker has the request; else it is
 * logged why not. */
bool repair_send(struct repair *repair, const char *table, const struct bytes *keys,
                 size_t count);
/* A key that was sent long ago still differs: logs what the ledger says about it. */
void repair_had_no_effect(struct repair *repair, const char *table, const char *key);

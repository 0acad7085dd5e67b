/* status/bridge_reader.h - one look at a bridge: ledger, groups, topics, target, dead letters.
 *
 * A part that does not answer within start.timeout (at most 10 s) is told in bridge->unread,
 * and tried again with the next look. Of the main thread. */
#pragma once

#include "common/config/config.h"
#include "status/bridge.h"

struct bridge_reader;

/* Connects to nothing yet. ERR_FATAL 78: a setting is wrong. */
int bridge_reader_new(struct bridge_reader **ret, const struct config *config,
                      struct error *err);
void bridge_reader_free(struct bridge_reader *reader);
DEFINE_FREEP(struct bridge_reader, bridge_reader_freep, bridge_reader_free)

/* table: only this one; NULL: all. The caller releases. */
void bridge_reader_look(struct bridge *ret, struct bridge_reader *reader, const char *table);

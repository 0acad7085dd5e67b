/* status/ledger_side.h - what the ledger says of a bridge: tables, segments, shards. Of the
 * main thread. */
#pragma once

#include "common/config/config.h"
#include "common/messages/ledger_cache.h"
#include "status/bridge.h"

/* Fills bridge->tables. A record that can't be read is left out, and told in bridge->unread. */
void ledger_side_read(struct bridge *bridge, struct ledger_cache *ledger,
                      const struct config *config);

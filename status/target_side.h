/* status/target_side.h - where the partitions stand in the target. Of the main thread. */
#pragma once

#include "common/mongo/mongo.h"
#include "status/bridge.h"

/* Fills the positions of all tables; without an answer they stay unknown, and bridge->unread
 * says why. */
void target_side_read(struct bridge *bridge, struct mongo *m);

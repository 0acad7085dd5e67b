/* status/view_json.h - where a bridge stands, as one line of JSON: schemas/status.schema.json.
 * Pure. */
#pragma once

#include "common/base/bytes.h"
#include "status/bridge.h"

/* before: an earlier look, for rates; NULL is fine. */
void view_json(struct buf *out, const struct bridge *bridge, const struct bridge *before);

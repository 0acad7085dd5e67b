/* status/view_text.h - where a bridge stands, for a person at a terminal. Pure. */
#pragma once

#include "common/base/bytes.h"
#include "status/bridge.h"

struct view_text_style {
    size_t width; /* of the terminal, in characters */
    bool in_color;
    bool shards; /* each of them, too */
};

/* before: an earlier look, for rates; NULL is fine. */
void view_text(struct buf *out, const struct bridge *bridge, const struct bridge *before,
               const struct view_text_style *style);

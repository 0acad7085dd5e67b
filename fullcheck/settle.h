/* fullcheck/settle.h - when does a difference count, while changes flow?
 *
 * The target lags behind. So a difference is rechecked, both ends anew: it is none when the
 * document equals the item as it is now or was at an earlier recheck, and it counts when the
 * item has stayed as it is for as long as the target may lag, and the document still differs.
 * Pure: no clock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SETTLE_LEVELS 8

enum settle_verdict {
    SETTLE_SAME,
    SETTLE_AGAIN,     /* recheck after settle_pause_ms */
    SETTLE_COUNTS,    /* a difference */
    SETTLE_UNDECIDED, /* the item changed all the time and was never matched */
};

struct settle { /* {0} begins */
    unsigned rechecks;
    unsigned level; /* of the next pause: below SETTLE_LEVELS */
    int64_t began_ms;
    int64_t stable_since_ms; /* since then the item looks as it does */
};

/* A recheck: does the document equal the item as it is or was at an earlier one; has the item
 * changed since the one before? Times are of one clock that never goes back. */
enum settle_verdict settle_judge(struct settle *settle, bool matches, bool item_changed,
                                 int64_t now_ms, int64_t limit_ms);
int64_t settle_pause_ms(unsigned level, int64_t limit_ms);

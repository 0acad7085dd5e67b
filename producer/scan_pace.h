/* producer/scan_pace.h - how fast a table's scan may go: a share of its provisioned read
 * capacity.
 *
 * All segments of a table share one pace. A page is charged when it is asked for, with what the
 * last one cost, and that is put right by its answer; the next page is due when the share has
 * paid for those before it. So a scan never takes a burst out of what the table's users have
 * saved up. Each throttled request halves the pace, good pages bring it back. Pure: no clock
 * (times are given, of a clock that nobody sets), no lock: its owner's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct scan_pace {        /* zeroed: no pace */
    int64_t rate_milli;   /* thousandths of units per second; 0: no pace */
    int64_t page_milli;   /* what a page costs, by the last one; 0: not known yet */
    int64_t pages_asked;  /* and not answered yet */
    int64_t due_us;       /* when the pages asked for have been paid */
    int64_t slowed_ms;    /* when it was halved last */
    int64_t slow_percent; /* taken off the rate */
};

/* read_capacity: units per second, 0 for a table on demand; percent of it are the scan's, 0:
 * all it gets. Both may change while it runs. */
void scan_pace_set(struct scan_pace *pace, int64_t read_capacity, int64_t percent);
/* 0: ask for a page now: it is charged, and one of the next two has to follow. Else come again
 * in that many milliseconds (a second at most, since answers change it). */
int64_t scan_pace_wait_ms(struct scan_pace *pace, int64_t now_ms);
/* consumed_milli as in ddb_scan.h: -1 when the service did not tell: then it is estimated from
 * the bytes of the answer, which are more than those of its items. */
void scan_pace_answered(struct scan_pace *pace, int64_t consumed_milli, int64_t answer_bytes);
/* No answer came. Throttled: by the capacity, that is; it takes nothing, and says slower. */
void scan_pace_failed(struct scan_pace *pace, bool throttled, int64_t now_ms);

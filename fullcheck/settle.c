#include "fullcheck/settle.h"

#include "common/base/auto.h"

#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 8000
#define UNDECIDED_LIMITS 10 /* so many times the limit */
#define UNDECIDED_AT_LEAST_MS 30000

int64_t settle_pause_ms(unsigned level, int64_t limit_ms)
{
    int64_t longest = MIN(MAX(limit_ms / 4, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);

    return MIN((int64_t)FIRST_PAUSE_MS << level, longest);
}

enum settle_verdict settle_judge(struct settle *settle, bool matches, bool item_changed,
                                 int64_t now_ms, int64_t limit_ms)
{
    bool first = settle->rechecks++ == 0;

    if (first)
        settle->began_ms = now_ms;
    if (first || item_changed) {
        settle->stable_since_ms = now_ms;
        settle->level = 0; /* a quick recheck has the best chance to meet what was just seen */
    } else if (settle->level < SETTLE_LEVELS - 1) {
        settle->level++;
    }
    if (matches)
        return SETTLE_SAME;
    if (now_ms - settle->stable_since_ms >= limit_ms)
        return SETTLE_COUNTS;
    if (now_ms - settle->began_ms >= MAX(UNDECIDED_LIMITS * limit_ms, UNDECIDED_AT_LEAST_MS))
        return SETTLE_UNDECIDED;
    return SETTLE_AGAIN;
}

#include "producer/gap_pace.h"

#define ROW_ENDS_MS (6 * 3600000LL) /* a generation that held for so long had no fault */
#define PAUSE_MS 30000LL
#define PAUSE_LONGEST_MS 3600000LL

/* 0: not yet. One without rows has no snapshot to finish. */
static int64_t ready_since_ms(const struct ledger_table *t)
{
    return t->rows ? t->finished_ms : t->started_ms;
}

int64_t gap_pace_count(const struct ledger_table *last, int64_t now_ms)
{
    int64_t ready = ready_since_ms(last);

    if (last->gaps > 0 && (ready == 0 || ready > now_ms - ROW_ENDS_MS))
        return last->gaps + 1;
    return 1;
}

int64_t gap_pace_pause_ms(int64_t gaps)
{
    return gaps < 2 ? 0 : MIN(PAUSE_MS << MIN(gaps - 2, 16), PAUSE_LONGEST_MS);
}

/* A clock that was set back must not make it longer. */
int64_t gap_pace_wait_ms(const struct ledger_table *t, int64_t now_ms)
{
    int64_t pause = gap_pace_pause_ms(t->gaps);

    return MIN(MAX(t->started_ms + pause - now_ms, 0), pause);
}

#include "consumer/retention_search.h"

#include "common/base/auto.h"

#define OLDEST 2  /* retentions ago */
#define YOUNG 100 /* this part of the retention */
#define EXACT 1000

void retention_search_begin(struct retention_search *s, int64_t now_ms, int64_t keep_ms)
{
    *s = (struct retention_search){.low = now_ms - OLDEST * keep_ms,
                                   .high = now_ms + 1,
                                   .wanted = MAX(keep_ms / EXACT, 1),
                                   .first = now_ms - keep_ms / YOUNG};
}

bool retention_search_ended(const struct retention_search *s)
{
    return s->first < 0 && s->high - s->low <= s->wanted;
}

int64_t retention_search_question(const struct retention_search *s)
{
    return s->first >= 0 ? s->first : s->low + (s->high - s->low) / 2;
}

void retention_search_told(struct retention_search *s, int64_t since, int64_t position)
{
    int64_t asked = retention_search_question(s);
    bool younger = since >= 0 && since <= position;

    if (younger)
        s->low = asked;
    else
        s->high = asked;
    if (younger && s->first >= 0)
        s->high = asked; /* exact enough */
    s->first = -1;
}

int64_t retention_search_time(const struct retention_search *s)
{
    return s->low;
}

#include "consumer/suspects.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"

#define FIRST_CAPACITY 16

void suspects_init(struct suspects *s)
{
    *s = (struct suspects){0};
}

void suspects_release(struct suspects *s)
{
    free(s->list);
    suspects_init(s);
}

static void forget_all(struct suspects *s)
{
    free(s->list);
    s->list = NULL;
    s->count = s->capacity = 0;
}

/* Where it is, or belongs. */
static size_t place_of(const struct suspects *s, int64_t offset)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->list[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct suspects *s, size_t place, int64_t offset)
{
    return place < s->count && s->list[place].offset == offset;
}

static struct suspect *insert(struct suspects *s, size_t place, int64_t offset)
{
    struct suspect *at;

    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : FIRST_CAPACITY;
        s->list = xrealloc(s->list, s->capacity * sizeof(*s->list));
    }
    at = &s->list[place];
    memmove(at + 1, at, (s->count - place) * sizeof(*at));
    s->count++;
    *at = (struct suspect){.offset = offset, .since_ms = s->now_ms};
    return at;
}

void suspects_begin(struct suspects *s, int64_t first_offset, int64_t next_offset,
                    int64_t now_ms)
{
    size_t passed = place_of(s, first_offset);

    s->now_ms = now_ms;
    s->first_offset = first_offset;
    s->next_offset = next_offset;
    s->overflow = false;
    if (passed == s->count) {
        forget_all(s);
    } else if (passed > 0) {
        s->count -= passed;
        memmove(s->list, s->list + passed, s->count * sizeof(*s->list));
    }
}

void suspects_accepted(struct suspects *s, int64_t offset)
{
    if (is_at(s, place_of(s, offset), offset))
        forget_all(s);
}

static bool long_enough(int tries, int64_t since_ms, int64_t now_ms)
{
    return tries >= SUSPECT_TRIES && now_ms - since_ms >= SUSPECT_MS;
}

const struct suspect *suspects_refused(struct suspects *s, int64_t offset)
{
    size_t place = place_of(s, offset);
    struct suspect *at;

    if (!is_at(s, place, offset) && s->count == SUSPECTS_MAX) {
        s->overflow = true;
        return NULL;
    }
    at = is_at(s, place, offset) ? &s->list[place] : insert(s, place, offset);
    at->tries++;
    at->now_ms = s->now_ms;
    return long_enough(at->tries, at->since_ms, at->now_ms) ? at : NULL;
}

bool suspects_end(struct suspects *s, bool all_refused)
{
    if (!all_refused && !s->overflow) {
        /* What was applied again on the way there is no sign of hope. */
        if (s->next_offset > s->stuck_at)
            s->tries = 0;
        return false;
    }
    if (s->tries++ == 0)
        s->since_ms = s->now_ms;
    s->stuck_at = s->first_offset;
    return long_enough(s->tries, s->since_ms, s->now_ms);
}

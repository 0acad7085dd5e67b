#include "consumer/suspects.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"

#define FIRST_CAPACITY 16

void suspects_init(struct suspects *suspects)
{
    *suspects = (struct suspects){0};
}

void suspects_release(struct suspects *suspects)
{
    free(suspects->list);
    suspects_init(suspects);
}

static void forget_all(struct suspects *suspects)
{
    free(suspects->list);
    suspects->list = NULL;
    suspects->count = suspects->capacity = 0;
}

/* Where it is, or belongs. */
static size_t place_of(const struct suspects *suspects, int64_t offset)
{
    size_t low = 0, high = suspects->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (suspects->list[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct suspects *suspects, size_t place, int64_t offset)
{
    return place < suspects->count && suspects->list[place].offset == offset;
}

static struct suspect *insert(struct suspects *suspects, size_t place, int64_t offset)
{
    struct suspect *at;

    if (suspects->count == suspects->capacity) {
        suspects->capacity = suspects->capacity ? 2 * suspects->capacity : FIRST_CAPACITY;
        suspects->list = xrealloc(suspects->list, suspects->capacity * sizeof(*suspects->list));
    }
    at = &suspects->list[place];
    memmove(at + 1, at, (suspects->count - place) * sizeof(*at));
    suspects->count++;
    *at = (struct suspect){.offset = offset, .since_ms = suspects->now_ms};
    return at;
}

void suspects_begin(struct suspects *suspects, int64_t first_offset, int64_t next_offset,
                    int64_t now_ms)
{
    size_t passed = place_of(suspects, first_offset);

    suspects->now_ms = now_ms;
    suspects->first_offset = first_offset;
    suspects->next_offset = next_offset;
    suspects->overflow = false;
    if (passed == suspects->count) {
        forget_all(suspects);
    } else if (passed > 0) {
        suspects->count -= passed;
        memmove(suspects->list, suspects->list + passed,
                suspects->count * sizeof(*suspects->list));
    }
}

void suspects_accepted(struct suspects *suspects, int64_t offset)
{
    if (is_at(suspects, place_of(suspects, offset), offset))
        forget_all(suspects);
}

static bool long_enough(int tries, int64_t since_ms, int64_t now_ms)
{
    return tries >= SUSPECT_TRIES && now_ms - since_ms >= SUSPECT_MS;
}

const struct suspect *suspects_refused(struct suspects *suspects, int64_t offset)
{
    size_t place = place_of(suspects, offset);
    struct suspect *at;

    if (!is_at(suspects, place, offset) && suspects->count == SUSPECTS_MAX) {
        suspects->overflow = true;
        return NULL;
    }
    at = is_at(suspects, place, offset) ? &suspects->list[place]
                                        : insert(suspects, place, offset);
    at->tries++;
    at->now_ms = suspects->now_ms;
    return long_enough(at->tries, at->since_ms, at->now_ms) ? at : NULL;
}

bool suspects_end(struct suspects *suspects, bool all_refused)
{
    if (!all_refused && !suspects->overflow) {
        /* What was applied again on the way there is no sign of hope. */
        if (suspects->next_offset > suspects->stuck_at)
            suspects->tries = 0;
        return false;
    }
    if (suspects->tries++ == 0)
        suspects->since_ms = suspects->now_ms;
    suspects->stuck_at = suspects->first_offset;
    return long_enough(suspects->tries, suspects->since_ms, suspects->now_ms);
}

#include "consumer/replay_point.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/time_text.h"

/* ---- the text ---- */

static bool parse_number(int64_t *ret, const char *text, size_t length, int64_t max)
{
    AUTO(free_charp) char *digits = xstrndup(text, length);
    long long value;

    errno = 0;
    value = strtoll(digits, NULL, 10);
    if (!*digits || digits[strspn(digits, "0123456789")] || errno || value > max)
        return false;
    *ret = value;
    return true;
}

static bool parse_place(struct replay_point *ret, const char *text)
{
    const char *colon = strchr(text, ':');
    int64_t partition;

    if (!colon || !parse_number(&partition, text, (size_t)(colon - text), INT32_MAX) ||
        !parse_number(&ret->offset, colon + 1, strlen(colon + 1), INT64_MAX))
        return false;
    ret->partition = (int32_t)partition;
    return true;
}

bool replay_point_parse(struct replay_point *ret, const char *text)
{
    struct replay_point point = {.kind = REPLAY_FROM_BEGINNING};

    if (strcmp(text, "beginning") == 0)
        point.kind = REPLAY_FROM_BEGINNING;
    else if (time_text_read(&point.time_ms, text))
        point.kind = REPLAY_FROM_TIME;
    else if (parse_place(&point, text))
        point.kind = REPLAY_FROM_OFFSET;
    else
        return false;
    *ret = point;
    return true;
}

/* ---- a partition ---- */

static int64_t asked_for(const struct replay_point *point, const struct replay_place *place)
{
    switch (point->kind) {
    case REPLAY_FROM_TIME:
        return place->at_time;
    case REPLAY_FROM_OFFSET:
        return point->partition == place->partition ? point->offset : POSITION_NONE;
    case REPLAY_FROM_BEGINNING:
        break;
    }
    return place->begin;
}

static bool has_position(const struct replay_place *place)
{
    const struct position_doc *doc = &place->doc;

    return doc->found && doc->offset != POSITION_NONE &&
           strcmp(doc->log_id, place->log_id) == 0;
}

static const char *why_nothing(const struct position_doc *doc, int64_t from)
{
    if (from == POSITION_NONE)
        return "it has no record since then";
    if (from >= doc->offset)
        return "what was asked for is still to be applied";
    if (doc->rewind != POSITION_NONE && from >= doc->rewind)
        return "it is about to go back further";
    return NULL;
}

/* Were there records since that time that the log has no more? Of the ones before the first
 * that is left nobody knows the time. */
static bool time_is_lost(const struct replay_place *place, int64_t begin)
{
    if (place->low <= begin)
        return false;
    return place->at_time == POSITION_NONE ? place->low >= place->doc.offset
                                           : place->at_time <= place->low;
}

enum replay_verdict replay_point_judge(const struct replay_point *point,
                                       const struct replay_place *place, int64_t *ret,
                                       const char **ret_why)
{
    int64_t begin = MAX(place->begin, place->doc.begin); /* the ledger may be read late */
    int64_t asked = asked_for(point, place);
    int64_t from = asked == POSITION_NONE ? POSITION_NONE : MAX(asked, begin);

    *ret_why = NULL;
    if (point->kind == REPLAY_FROM_OFFSET && point->partition != place->partition)
        *ret_why = "it is not the partition that was named";
    else if (!has_position(place))
        *ret_why = "it has no position yet: it starts at the newest begin anyway";
    else if (point->kind == REPLAY_FROM_TIME && time_is_lost(place, begin))
        return REPLAY_LOST;
    else
        *ret_why = why_nothing(&place->doc, from);
    if (*ret_why)
        return REPLAY_NOTHING;
    *ret = from;
    return from < place->low ? REPLAY_LOST : REPLAY_GO_BACK;
}

bool replay_point_is_back(const struct position_doc *then, const struct position_doc *now)
{
    bool another_log = now->offset != POSITION_NONE && strcmp(now->log_id, then->log_id) != 0;

    return now->found && now->rewind == POSITION_NONE &&
           (another_log || now->offset >= then->offset);
}

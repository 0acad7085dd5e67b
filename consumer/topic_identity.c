#include "consumer/topic_identity.h"

#include <string.h>

struct judgement { /* of one call */
    const struct log_claim *claim;
    const struct log_sight *sights;
    enum log_place look;
};

static enum log_verdict look(struct judgement *judgement, enum log_place place)
{
    judgement->look = place;
    return LOG_LOOK;
}

static bool is_begin(const struct judgement *judgement, const struct log_sight *sight,
                     int64_t offset, int64_t generation)
{
    return sight->kind == SIGHT_RECORD && sight->offset == offset && sight->begins &&
           sight->generation == generation &&
           strcmp(sight->log_id, judgement->claim->log_id) == 0;
}

static enum log_verdict judge_newest(struct judgement *judgement)
{
    const struct log_claim *claim = judgement->claim;
    const struct log_sight *sight = &judgement->sights[LOG_AT_NEWEST];

    if (sight->kind == SIGHT_NONE)
        return look(judgement, LOG_AT_NEWEST);
    return is_begin(judgement, sight, claim->newest, claim->newest_generation) ? LOG_SAME
                                                                               : LOG_OTHER;
}

/* A begin is missing in the midst of the log. Only compaction takes one so, and only for a
 * later begin. */
static enum log_verdict judge_hole(struct judgement *judgement)
{
    return judgement->claim->newest == POSITION_NONE ? LOG_OTHER : judge_newest(judgement);
}

/* What is left of a log must be of the generations that it had there. */
static enum log_verdict judge_left(struct judgement *judgement, const struct log_sight *oldest)
{
    const struct log_claim *claim = judgement->claim;
    bool later = claim->newest != POSITION_NONE;
    int64_t generation = later ? claim->newest_generation : claim->generation;

    if (later && oldest->offset <= claim->newest)
        return judge_newest(judgement);
    if (oldest->kind != SIGHT_RECORD)
        return LOG_SAME;
    if ((oldest->generation && oldest->generation < generation) ||
        (oldest->log_id[0] && strcmp(oldest->log_id, claim->log_id) != 0))
        return LOG_OTHER;
    return LOG_SAME;
}

static enum log_verdict judge_oldest(struct judgement *judgement)
{
    const struct log_sight *sight = &judgement->sights[LOG_AT_OLDEST];

    if (sight->kind == SIGHT_NONE || sight->kind == SIGHT_OUTSIDE)
        return look(judgement, LOG_AT_OLDEST);
    if (sight->offset <=
        judgement->claim->begin) /* so the begin is not before the log, but behind it */
        return LOG_OTHER;
    return judge_left(judgement, sight);
}

static enum log_verdict judge_begin(struct judgement *judgement)
{
    const struct log_claim *claim = judgement->claim;
    const struct log_sight *sight = &judgement->sights[LOG_AT_BEGIN];

    if (claim->begin == POSITION_NONE)
        return judge_oldest(judgement);
    switch (sight->kind) {
    case SIGHT_NONE:
        return look(judgement, LOG_AT_BEGIN);
    case SIGHT_OUTSIDE:
        return judge_oldest(judgement);
    case SIGHT_END:
        return sight->offset > claim->begin ? judge_hole(judgement) : LOG_OTHER;
    case SIGHT_RECORD:
        break;
    }
    if (sight->offset > claim->begin)
        return judge_hole(judgement);
    return is_begin(judgement, sight, claim->begin, claim->generation) ? LOG_SAME : LOG_OTHER;
}

/* It is the same log by its begins. Does it hold the position? */
static enum log_verdict judge_position(struct judgement *judgement)
{
    int64_t position = judgement->claim->position;
    const struct log_sight *sight = &judgement->sights[LOG_AT_POSITION];
    const struct log_sight *oldest = &judgement->sights[LOG_AT_OLDEST];

    switch (sight->kind) {
    case SIGHT_NONE:
        return look(judgement, LOG_AT_POSITION);
    case SIGHT_RECORD:
    case SIGHT_END:
        return sight->offset >= position ? LOG_SAME : LOG_OTHER;
    case SIGHT_OUTSIDE:
        break;
    }
    if (oldest->kind == SIGHT_NONE || oldest->kind == SIGHT_OUTSIDE)
        return look(judgement, LOG_AT_OLDEST);
    return oldest->offset > position ? LOG_TRUNCATED : LOG_OTHER;
}

/* Who has not applied a begin stands before it. Else the log lost its end, and has grown again
 * over the position since: what was appended there was never applied. */
static bool lost_its_end(const struct log_claim *claim)
{
    return claim->newest != POSITION_NONE && claim->newest < claim->position;
}

enum log_verdict topic_identity_judge(enum log_place *ret, const struct log_claim *claim,
                                      const struct log_sight sights[LOG_PLACES])
{
    struct judgement judgement = {.claim = claim, .sights = sights};
    enum log_verdict verdict = lost_its_end(claim) ? LOG_OTHER : judge_begin(&judgement);

    if (verdict == LOG_SAME && claim->doubted)
        verdict = judge_position(&judgement);
    if (verdict == LOG_LOOK)
        *ret = judgement.look;
    return verdict;
}

#include "consumer/position.h"

#include <string.h>

#include "common/auto.h"
#include "common/check.h"
#include "common/mutation.h"

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    if (a->known != b->known)
        return false;
    return !a->known || memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void position_init(struct position *p)
{
    *p = (struct position){
        .offset = POSITION_NONE, .sent = POSITION_NONE, .again = POSITION_NONE};
}

/* The lower of two offsets of which either may be none. */
static int64_t lowest(int64_t a, int64_t b)
{
    if (a == POSITION_NONE || b == POSITION_NONE)
        return a == POSITION_NONE ? b : a;
    return MIN(a, b);
}

static bool means_something(const struct position_doc *doc,
                            const struct position_source *source)
{
    return doc->found && doc->offset != POSITION_NONE && !source->truncated &&
           strcmp(doc->log_id, source->log_id) == 0 && uuid_equal(&doc->uuid, &source->uuid);
}

static void start_at_begin(struct position_doc *doc, const struct position_source *source)
{
    doc->offset = source->begin;
    doc->again = POSITION_NONE; /* of another log or collection */
    doc->generation = source->generation;
    strcpy(doc->log_id, source->log_id);
    doc->uuid = source->uuid;
    doc->pass[0] = '\0';
}

enum position_start position_take(struct position_doc *ret, const struct position_doc *old,
                                  const struct position_source *source, const char *me)
{
    bool keeps = means_something(old, source);
    bool goodbye = !old->found || !old->owner[0];
    struct position_doc doc = *old;

    CHECK(strlen(source->log_id) < sizeof(doc.log_id) && strlen(me) < sizeof(doc.owner));
    if (!keeps && source->begin == POSITION_NONE)
        return POSITION_WAIT;
    if (keeps)
        doc.offset = lowest(old->offset, old->rewind);
    else
        start_at_begin(&doc, source);
    if (!goodbye && !MUTATED(heal))
        doc.again = lowest(doc.again, doc.offset);
    doc.found = true;
    doc.epoch = old->epoch + 1;
    doc.rewind = POSITION_NONE;
    strcpy(doc.owner, me);
    *ret = doc;
    return keeps ? POSITION_CONTINUE : POSITION_FROM_BEGIN;
}

void position_taken(struct position *p, const struct position_doc *stored, int64_t now_ms,
                    int64_t grace_ms)
{
    position_init(p);
    p->epoch = stored->epoch;
    p->offset = stored->offset;
    p->generation = stored->generation;
    strcpy(p->log_id, stored->log_id);
    p->again = stored->again;
    p->again_at = now_ms + grace_ms;
}

enum position_verdict position_judge(const struct position *p, const struct position_doc *doc,
                                     int64_t *ret)
{
    if (!doc->found)
        return POSITION_GONE;
    if (doc->epoch != p->epoch)
        return POSITION_LOST;
    if (doc->rewind == POSITION_NONE)
        return POSITION_MINE;
    *ret = lowest(doc->rewind, p->offset);
    return POSITION_REWIND;
}

void position_sending(struct position *p, int64_t end)
{
    p->sent = MAX(p->sent, end);
}

void position_unknown(struct position *p, int64_t now_ms, int64_t grace_ms)
{
    if (!MUTATED(heal))
        p->quiet_until = MAX(p->quiet_until, now_ms + grace_ms);
}

void position_confirmed(struct position *p, int64_t offset)
{
    p->offset = offset;
    p->sent = POSITION_NONE;
    p->quiet_until = 0;
}

void position_went_back(struct position *p, int64_t offset)
{
    position_confirmed(p, offset);
}

void position_begins_again(struct position *p)
{
    position_confirmed(p, position_again_from(p));
    p->again = POSITION_NONE;
}

int64_t position_late_mark(const struct position *p)
{
    return p->sent == POSITION_NONE || MUTATED(heal) ? POSITION_NONE : p->offset;
}

bool position_settled(const struct position *p)
{
    return p->epoch && p->sent == POSITION_NONE;
}

bool position_again_due(const struct position *p, int64_t now_ms)
{
    return p->again != POSITION_NONE && now_ms >= p->again_at;
}

int64_t position_again_from(const struct position *p)
{
    return lowest(p->again, p->offset);
}

bool position_may_send(const struct position *p, int64_t now_ms, int64_t last_poll_ms,
                       int64_t session_ms)
{
    return now_ms >= p->quiet_until && now_ms - last_poll_ms < session_ms / 2;
}

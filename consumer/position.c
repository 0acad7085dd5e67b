#include "consumer/position.h"

#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/mutation.h"

void position_init(struct position *position)
{
    *position = (struct position){.offset = POSITION_NONE,
                                  .applied = POSITION_NONE,
                                  .sent = POSITION_NONE,
                                  .begin = POSITION_NONE,
                                  .rows_begin = POSITION_NONE,
                                  .again = POSITION_NONE};
}

/* The lower of two offsets of which either may be none. */
static int64_t lowest(int64_t a, int64_t b)
{
    if (a == POSITION_NONE || b == POSITION_NONE)
        return a == POSITION_NONE ? b : a;
    return MIN(a, b);
}

/* Who applies from there on passes the begin again, and brings in what was before the rows;
 * what a pass was for is not swept yet. */
static void go_back(char *pass, int64_t *rows_begin, int64_t begin, int64_t offset)
{
    if (offset < *rows_begin || (offset <= begin && pass[0]))
        *rows_begin = POSITION_NONE;
    if (offset <= begin && !MUTATED(pass))
        pass[0] = '\0';
}

/* ---- taking over ---- */

static bool means_something(const struct position_doc *doc,
                            const struct position_source *source)
{
    return doc->found && doc->offset != POSITION_NONE && !source->truncated &&
           strcmp(doc->log_id, source->log_id) == 0 && uuid_equal(&doc->uuid, &source->uuid);
}

static void start_at_begin(struct position_doc *doc, const struct position_source *source)
{
    doc->offset = doc->begin = source->begin;
    doc->rows_begin = source->rows ? source->begin : POSITION_NONE;
    if (doc->again != POSITION_NONE) /* who was killed writes by the collection's name */
        doc->again = source->begin;
    doc->generation = source->generation;
    strcpy(doc->log_id, source->log_id);
    doc->uuid = source->uuid;
    doc->pass[0] = '\0';
}

enum position_start position_take(struct position_change *ret, const struct position_doc *old,
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
    if (doc.generation == source->generation && source->begin != POSITION_NONE)
        doc.begin = source->begin;
    go_back(doc.pass, &doc.rows_begin, doc.begin, doc.offset);
    if (!goodbye && !MUTATED(heal))
        doc.again = lowest(doc.again, doc.offset);
    doc.found = true;
    doc.epoch = old->epoch + 1;
    doc.rewind = POSITION_NONE;
    strcpy(doc.owner, me);
    *ret = (struct position_change){POSITION_CHANGE_TAKE, *old, doc};
    return keeps ? POSITION_CONTINUE : POSITION_FROM_BEGIN;
}

static void remember(struct position *position, const struct position_doc *doc, int64_t now_ms,
                     int64_t grace_ms)
{
    if (position->again == POSITION_NONE)
        position->again_at = now_ms + grace_ms;
    position->again = doc->again;
    position->generation = doc->generation;
    position->begin = doc->begin;
    position->rows_begin = doc->rows_begin;
    strcpy(position->log_id, doc->log_id);
    strcpy(position->pass, doc->pass);
    position->applied = doc->offset;
    position->doubted = false;
    position_confirmed(position, doc->offset);
}

void position_taken(struct position *position, const struct position_doc *stored,
                    int64_t now_ms, int64_t grace_ms)
{
    position_init(position);
    position->epoch = stored->epoch;
    remember(position, stored, now_ms, grace_ms);
}

bool position_is_taken(const struct position_change *take, const struct position_doc *doc)
{
    return doc->found && doc->epoch == take->next.epoch &&
           strcmp(doc->owner, take->next.owner) == 0 && doc->rewind == POSITION_NONE;
}

/* ---- changes ---- */

/* What an owner expects to find, and what of it stays. */
static void begin_change(struct position_change *ret, enum position_change_kind kind,
                         const struct position *position, const char *me)
{
    *ret = (struct position_change){.kind = kind};
    ret->seen.found = true;
    ret->seen.epoch = position->epoch;
    ret->seen.rewind = POSITION_NONE;
    strcpy(ret->seen.owner, me);
    ret->next = ret->seen;
    ret->next.offset = position->applied;
    ret->next.generation = position->generation;
    ret->next.begin = position->begin;
    ret->next.rows_begin = position->rows_begin;
    strcpy(ret->next.log_id, position->log_id);
    strcpy(ret->next.pass, position->pass);
}

void position_move(struct position_change *ret, const struct position *position, const char *me)
{
    begin_change(ret, POSITION_CHANGE_MOVE, position, me);
}

void position_set_back(struct position_change *ret, const struct position_doc *doc,
                       int64_t offset)
{
    *ret = (struct position_change){POSITION_CHANGE_SET_BACK, *doc, *doc};
    ret->next.offset = offset;
    ret->next.rewind = POSITION_NONE;
    go_back(ret->next.pass, &ret->next.rows_begin, doc->begin, offset);
}

void position_begin_again(struct position_change *ret, const struct position *position,
                          const char *me)
{
    begin_change(ret, POSITION_CHANGE_BEGIN_AGAIN, position, me);
    ret->next.offset = position_again_from(position);
    ret->next.again = POSITION_NONE;
    go_back(ret->next.pass, &ret->next.rows_begin, position->begin, ret->next.offset);
}

void position_goodbye(struct position_change *ret, const struct position *position,
                      const char *me)
{
    begin_change(ret, POSITION_CHANGE_GOODBYE, position, me);
    ret->next.owner[0] = '\0';
    if (position->doubted)
        ret->next.offset = POSITION_NONE;
}

/* What may have come late, in the log of the present owner. The begin of a generation without
 * rows is no end of the way back: nothing behind it brings the value that was overwritten. */
static int64_t late_from(const struct position *position, const struct position_doc *doc)
{
    if (strcmp(doc->log_id, position->log_id) != 0)
        return doc->begin;
    return MAX(position->offset, doc->rows_begin);
}

bool position_late_mark(struct position_change *ret, const struct position *position,
                        const struct position_doc *doc)
{
    if (position->sent == POSITION_NONE || !doc->found || MUTATED(heal) ||
        late_from(position, doc) == POSITION_NONE)
        return false;
    *ret = (struct position_change){POSITION_CHANGE_MARK, *doc, *doc};
    ret->next.rewind = lowest(doc->rewind, late_from(position, doc));
    return true;
}

/* ---- the document's word ---- */

enum position_verdict position_judge(const struct position *position,
                                     const struct position_doc *doc, const char *me,
                                     int64_t *ret)
{
    if (!doc->found)
        return POSITION_GONE;
    if (doc->epoch != position->epoch || strcmp(doc->owner, me) != 0)
        return POSITION_LOST;
    if (doc->rewind == POSITION_NONE)
        return POSITION_MINE;
    *ret = lowest(doc->rewind, doc->offset);
    return POSITION_REWIND;
}

bool position_agrees(const struct position *position, const struct position_doc *doc,
                     int64_t moved)
{
    return (doc->offset == position->offset || doc->offset == moved) &&
           doc->again == position->again;
}

void position_adopt(struct position *position, const struct position_doc *doc, int64_t now_ms,
                    int64_t grace_ms)
{
    if (MUTATED(unacknowledged))
        position->applied = position->offset;
    else
        remember(position, doc, now_ms, grace_ms);
}

/* ---- memory ---- */

void position_sending(struct position *position, int64_t end)
{
    position->sent = MAX(position->sent, end);
}

void position_unknown(struct position *position, int64_t now_ms, int64_t grace_ms)
{
    if (!MUTATED(heal))
        position->quiet_until = MAX(position->quiet_until, now_ms + grace_ms);
}

void position_doubt(struct position *position)
{
    position->doubted = true;
}

void position_written(struct position *position, int64_t end)
{
    position->applied = end;
}

bool position_needs_pass(const struct position *position, int64_t begin, bool first)
{
    return !first || position->rows_begin != begin;
}

void position_begun(struct position *position, int64_t generation, int64_t begin,
                    const char *log_id, const char *pass)
{
    CHECK(strlen(pass) < sizeof(position->pass));
    position_begun_without_rows(position, generation, begin, log_id);
    position->rows_begin = begin;
    strcpy(position->pass, pass);
}

void position_begun_without_rows(struct position *position, int64_t generation, int64_t begin,
                                 const char *log_id)
{
    position->generation = generation;
    position->begin = begin;
    strcpy(position->log_id, log_id);
    position->pass[0] = '\0';
}

void position_gave_up_pass(struct position *position)
{
    position->pass[0] = '\0';
}

void position_swept(struct position *position, int64_t end)
{
    position_gave_up_pass(position);
    position_written(position, end);
}

bool position_may_sweep(const struct position *position, const struct position_doc *doc,
                        const char *me)
{
    return (doc->found && doc->epoch == position->epoch && strcmp(doc->owner, me) == 0 &&
            strcmp(doc->pass, position->pass) == 0) ||
           MUTATED(sweep_check);
}

void position_confirmed(struct position *position, int64_t offset)
{
    position->offset = offset;
    if (position->sent <= offset)
        position->sent = POSITION_NONE;
}

void position_went_back(struct position *position, int64_t offset)
{
    position->offset = position->applied = offset;
    position->doubted = false;
    go_back(position->pass, &position->rows_begin, position->begin, offset);
}

void position_begins_again(struct position *position)
{
    position_went_back(position, position_again_from(position));
    position->again = POSITION_NONE;
}

bool position_may_take_again(bool assigned)
{
    return assigned || MUTATED(stray);
}

bool position_is_ahead(const struct position *position)
{
    return position->applied != position->offset;
}

bool position_is_quiet(const struct position *position, int64_t now_ms)
{
    return now_ms >= position->quiet_until;
}

bool position_again_due(const struct position *position, int64_t now_ms)
{
    return position->again != POSITION_NONE && now_ms >= position->again_at;
}

int64_t position_again_from(const struct position *position)
{
    return lowest(position->again, position->offset);
}

bool position_may_send(const struct position *position, int64_t now_ms, int64_t last_poll_ms,
                       int64_t session_ms)
{
    return position_is_quiet(position, now_ms) && now_ms - last_poll_ms < session_ms / 2;
}

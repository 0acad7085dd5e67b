#include "consumer/prepare_decision.h"

static enum prepare_step claim(enum table_doc_clear *clear, enum table_doc_clear what)
{
    *clear = what;
    return PREPARE_CLAIM;
}

static enum prepare_step building_next(const struct prepare_facts *f)
{
    if (!f->collection.exists)
        return PREPARE_CREATE;
    if (!f->collection.indexed)
        return PREPARE_INDEX;
    return f->doc.doubled ? PREPARE_REWIND : PREPARE_FINISH;
}

/* Will what stands under the name be dropped or renamed first? */
static bool clears_first(const struct prepare_facts *f)
{
    if (f->doc.state == TABLE_DOC_NONE)
        return !f->had_position && f->exist != CLEAR_NOTHING;
    return f->doc.state == TABLE_DOC_CLEARING || !f->doc.same_schema;
}

static bool is_as_prepared(const struct prepare_facts *f)
{
    return f->collection.exists && f->collection.indexed &&
           uuid_equal(&f->collection.uuid, &f->doc.uuid);
}

static enum prepare_step preparer_next(const struct prepare_facts *f,
                                       enum table_doc_clear *clear)
{
    if (f->doc.state == TABLE_DOC_NONE)
        return claim(clear, f->had_position ? CLEAR_NOTHING : f->exist);
    if (!f->doc.same_schema)
        return claim(clear, CLEAR_RENAME);
    if (!f->doc.same_form)
        return PREPARE_REFUSE;
    if (f->doc.state == TABLE_DOC_CLEARING)
        return f->collection.exists ? PREPARE_CLEAR : PREPARE_CLEARED;
    if (f->doc.state == TABLE_DOC_BUILDING)
        return building_next(f);
    return is_as_prepared(f) ? PREPARE_USE : claim(clear, CLEAR_NOTHING);
}

enum prepare_step prepare_decision_next(const struct prepare_facts *f,
                                        enum table_doc_clear *clear)
{
    if (f->collection.exists && f->collection.unfit && !clears_first(f))
        return PREPARE_UNFIT;
    if (f->preparer)
        return preparer_next(f, clear);
    if (f->doc.state != TABLE_DOC_NONE && f->doc.same_schema && !f->doc.same_form)
        return PREPARE_REFUSE;
    if (f->doc.state == TABLE_DOC_READY && f->doc.same_schema && is_as_prepared(f))
        return PREPARE_USE;
    return PREPARE_WAIT;
}

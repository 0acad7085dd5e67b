#include "consumer/prepare_decision.h"

static enum prepare_step claim(enum table_doc_clear *clear, enum table_doc_clear what)
{
    *clear = what;
    return PREPARE_CLAIM;
}

static enum prepare_step building_next(const struct prepare_facts *facts)
{
    if (!facts->collection.exists)
        return PREPARE_CREATE;
    if (!facts->collection.indexed)
        return PREPARE_INDEX;
    return facts->doc.doubled ? PREPARE_REWIND : PREPARE_FINISH;
}

/* Will what stands under the name be dropped or renamed first? */
static bool clears_first(const struct prepare_facts *facts)
{
    if (facts->doc.state == TABLE_DOC_NONE)
        return !facts->had_position && facts->exist != CLEAR_NOTHING;
    return facts->doc.state == TABLE_DOC_CLEARING || !facts->doc.same_schema;
}

static bool is_as_prepared(const struct prepare_facts *facts)
{
    return facts->collection.exists && facts->collection.indexed &&
           uuid_equal(&facts->collection.uuid, &facts->doc.uuid);
}

static enum prepare_step preparer_next(const struct prepare_facts *facts,
                                       enum table_doc_clear *clear)
{
    if (facts->doc.state == TABLE_DOC_NONE)
        return claim(clear, facts->had_position ? CLEAR_NOTHING : facts->exist);
    if (!facts->doc.same_schema)
        return claim(clear, CLEAR_RENAME);
    if (!facts->doc.same_form)
        return PREPARE_REFUSE;
    if (facts->doc.state == TABLE_DOC_CLEARING)
        return facts->collection.exists ? PREPARE_CLEAR : PREPARE_CLEARED;
    if (facts->doc.state == TABLE_DOC_BUILDING)
        return building_next(facts);
    return is_as_prepared(facts) ? PREPARE_USE : claim(clear, CLEAR_NOTHING);
}

enum prepare_step prepare_decision_next(const struct prepare_facts *facts,
                                        enum table_doc_clear *clear)
{
    if (facts->collection.exists && facts->collection.unfit && !clears_first(facts))
        return PREPARE_UNFIT;
    if (facts->preparer)
        return preparer_next(facts, clear);
    if (facts->doc.state != TABLE_DOC_NONE && facts->doc.same_schema && !facts->doc.same_form)
        return PREPARE_REFUSE;
    if (facts->doc.state == TABLE_DOC_READY && facts->doc.same_schema && is_as_prepared(facts))
        return PREPARE_USE;
    return PREPARE_WAIT;
}

/* consumer/table_doc.h - the document `<topic>` among the positions: how far a table is
 * prepared.
 *
 * Read, and changed by compare-and-set on what was read; what it says means is in
 * prepare_decision.h. Of one thread at a time. */
#pragma once

#include "common/base/bytes.h"
#include "common/mongo/mongo.h"
#include "consumer/prepare_decision.h"

struct table_doc { /* `<topic>` in the collection of positions */
    enum table_doc_state state;
    enum table_clear clear;
    bool doubled; /* copies were deleted, the partitions are not told yet */
    int64_t epoch;
    char form[POSITION_TEXT_MAX];
    struct uuid uuid;
    struct buf schema; /* as key_schema_write writes it */
};

void table_doc_init(struct table_doc *d);
void table_doc_release(struct table_doc *d);
/* State TABLE_DOC_NONE: there is none. */
int table_doc_read(struct table_doc *d, struct mongo *m, const char *topic, struct error *err);
/* Sets these members, and makes the document when there was none. *matched (may be NULL): it
 * was still as it was read; another preparer's change shows at the next look. */
int table_doc_update(const struct table_doc *d, struct mongo *m, const char *topic,
                     const bson_t *set, bool *matched, struct error *err);

/* consumer/table_doc.h - the document `<topic>` among the positions: how far a table's
 * collection is prepared.
 *
 * Read, and changed by compare-and-set on what was read; what it means is decided in
 * prepare_decision.h. Of one thread at a time. */
#pragma once

#include "common/base/bytes.h"
#include "common/mongo/mongo.h"
#include "consumer/converter.h"
#include "common/mongo/uuid.h"

enum table_doc_state {
    TABLE_DOC_NONE,     /* there is no document */
    TABLE_DOC_CLEARING, /* `clear` is to be done to what stands under the name */
    TABLE_DOC_BUILDING, /* collection and indexes are to be made */
    TABLE_DOC_READY,
};
const char *table_doc_state_name(enum table_doc_state s);
enum table_doc_state table_doc_state_of(const char *name);

enum table_doc_clear {
    CLEAR_NOTHING, /* write into what is there */
    CLEAR_DROP,
    CLEAR_RENAME,
};
/* "" | "drop" | "rename". */
const char *table_doc_clear_name(enum table_doc_clear c);
enum table_doc_clear table_doc_clear_of(const char *name);

#define TABLE_DOC_NAME_MAX 256 /* MongoDB's own limit is 255 bytes, database included */

struct table_doc {
    enum table_doc_state state;
    enum table_doc_clear clear;
    bool doubled; /* copies of a key were deleted, the partitions are not told yet */
    int64_t epoch;
    int64_t first; /* the generation that found nothing of an earlier one in the collection; 0:
                      every one may have */
    char form[CONVERTER_FORM_MAX];
    char collection[TABLE_DOC_NAME_MAX]; /* "" in a document of an earlier version */
    struct uuid uuid;
    struct buf schema; /* as key_schema_write writes it */
};

void table_doc_init(struct table_doc *doc);
void table_doc_release(struct table_doc *doc);
/* State TABLE_DOC_NONE: there is none. */
int table_doc_read(struct table_doc *doc, struct mongo *m, const char *topic,
                   struct error *err);
/* Sets these members, and makes the document when there was none. *matched (may be NULL): it
 * was still as it was read; another preparer's change shows at the next look. */
int table_doc_update(const struct table_doc *doc, struct mongo *m, const char *topic,
                     const bson_t *set, bool *matched, struct error *err);

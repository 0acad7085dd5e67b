#include "common/mongo/position_doc.h"

#include "common/mongo/bson_read.h"

const struct position_doc position_doc_absent = {.offset = POSITION_NONE,
                                                 .begin = POSITION_NONE,
                                                 .rows_begin = POSITION_NONE,
                                                 .rewind = POSITION_NONE,
                                                 .again = POSITION_NONE};

void position_doc_read(struct position_doc *ret, const bson_t *doc)
{
    *ret = (struct position_doc){.found = true,
                                 .offset = bson_read_int64(doc, "offset", POSITION_NONE),
                                 .generation = bson_read_int64(doc, "generation", 0),
                                 .begin = bson_read_int64(doc, "begin", POSITION_NONE),
                                 .epoch = bson_read_int64(doc, "epoch", 0),
                                 .rewind = bson_read_int64(doc, "rewind", POSITION_NONE),
                                 .again = bson_read_int64(doc, "again", POSITION_NONE)};
    ret->rows_begin = bson_read_int64(doc, "rows_begin", POSITION_NONE);
    bson_read_text(ret->log_id, sizeof(ret->log_id), doc, "log_id");
    bson_read_text(ret->owner, sizeof(ret->owner), doc, "owner");
    bson_read_text(ret->pass, sizeof(ret->pass), doc, "pass");
    uuid_read(&ret->uuid, doc, "uuid");
}

#include "consumer/checkpoint_doc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/time_text.h"

#define MARK "dynaferry"
#define STATUS_KEY "status_key"

struct field {
    const char *name;
    const char *older; /* in earlier versions of NimoShake; NULL: they had none */
    const char *value;
};

static bson_t *document(const char *id, const struct field *fields, size_t count,
                        const char *mark)
{
    bson_t *doc = bson_new();

    BSON_APPEND_UTF8(doc, "_id", id);
    for (size_t i = 0; i < count; i++)
        BSON_APPEND_UTF8(doc, fields[i].name, fields[i].value);
    for (size_t i = 0; i < count; i++)
        if (fields[i].older)
            BSON_APPEND_UTF8(doc, fields[i].older, fields[i].value);
    BSON_APPEND_UTF8(doc, MARK, mark);
    return doc;
}

/* As Go prints a time: "2024-05-01 10:11:12 +0000 UTC"; "" for none. */
static void go_time(char ret[TIME_TEXT_SIZE], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    *ret = '\0';
    if (ms > 0 && gmtime_r(&seconds, &tm))
        strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
}

bson_t *checkpoint_doc_shard(const struct ledger_shard *shard, const char *mark)
{
    char updated[TIME_TEXT_SIZE] = "", record[TIME_TEXT_SIZE];
    /* NimoShake goes on after the number, or from the horizon: AT_ without one ends it. */
    const char *iterator = *shard->sequence ? "AT_SEQUENCE_NUMBER" : "TRIM_HORIZON";
    const struct field fields[] = {
        {"ShardId", "shard_id", shard->id},
        {"FatherId", "father_id", shard->parent},
        {"SequenceNumber", "seq_num", shard->sequence},
        {"Status", "status", ledger_shard_status_name(shard->status)},
        {"WorkerId", "worker_id", "dynaferry"},
        {"IteratorType", "iterator_type", iterator},
        {"ShardIt", "shard_it", ""},
        {"UpdateDate", "update_date", updated},
        {"ApproximateTime", NULL, record},
    };

    if (shard->updated_ms > 0)
        time_text_write(updated, shard->updated_ms);
    go_time(record, shard->source_ms);
    return document(shard->id, fields, ARRAY_LEN(fields), mark);
}

bson_t *checkpoint_doc_status(const char *value, const char *mark)
{
    const struct field fields[] = {{"Key", "key", STATUS_KEY},
                                   {"StatusValue", "status_value", value}};

    return document(STATUS_KEY, fields, ARRAY_LEN(fields), mark);
}

static const char *text_of(const bson_t *doc, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, doc, name) && BSON_ITER_HOLDS_UTF8(&it)
               ? bson_iter_utf8(&it, NULL)
               : "";
}

bool checkpoint_doc_is_ours(const bson_t *doc, const char *mark)
{
    return strcmp(text_of(doc, MARK), mark) == 0;
}

bson_t *checkpoint_doc_ours(const char *mark)
{
    return BCON_NEW(MARK, BCON_UTF8(mark));
}

const char *checkpoint_doc_id(const bson_t *doc)
{
    return text_of(doc, "_id");
}

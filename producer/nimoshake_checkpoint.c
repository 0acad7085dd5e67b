#include "producer/nimoshake_checkpoint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/time_text.h"
#include "common/dynamodb/ddb_sequence.h"
#include "common/mongo/bson_read.h"

#define TEXT_SIZE 256
#define SHARD_PREFIX "shardId-"
#define SHARD_DIGITS 20
#define FIRST_STREAM_MS INT64_C(1400000000000) /* streams came later */

struct fields { /* of a document, in either spelling */
    char id[TEXT_SIZE], parent[TEXT_SIZE], sequence[TEXT_SIZE], status[TEXT_SIZE];
    char worker[TEXT_SIZE], iterator[TEXT_SIZE], updated[TEXT_SIZE], record_time[TEXT_SIZE];
};

static void read_either(char *ret, const bson_t *document, const char *name, const char *older)
{
    bson_read_text(ret, TEXT_SIZE, document, name);
    if (!*ret)
        bson_read_text(ret, TEXT_SIZE, document, older);
}

static void read_fields(struct fields *ret, const bson_t *document)
{
    read_either(ret->id, document, "ShardId", "shard_id");
    read_either(ret->parent, document, "FatherId", "father_id");
    read_either(ret->sequence, document, "SequenceNumber", "seq_num");
    read_either(ret->status, document, "Status", "status");
    read_either(ret->worker, document, "WorkerId", "worker_id");
    read_either(ret->iterator, document, "IteratorType", "iterator_type");
    read_either(ret->updated, document, "UpdateDate", "update_date");
    read_either(ret->record_time, document, "ApproximateTime", "approximate_time");
}

/* ---- times ---- */

int64_t nimoshake_checkpoint_shard_time(const char *id)
{
    const char *digits = id + strlen(SHARD_PREFIX);
    int64_t ms = 0;

    if (strncmp(id, SHARD_PREFIX, strlen(SHARD_PREFIX)) != 0 ||
        strspn(digits, "0123456789") != SHARD_DIGITS || digits[SHARD_DIGITS] != '-' ||
        digits[0] != '0' || digits[1] != '0')
        return 0;
    for (int i = 0; i < SHARD_DIGITS; i++)
        ms = ms * 10 + (digits[i] - '0');
    return ms >= FIRST_STREAM_MS ? ms : 0;
}

/* "2024-05-01 10:11:12 +0000 UTC", with a fraction too. 0: it is no such text. */
static int64_t record_time(const char *text)
{
    char rfc[TEXT_SIZE];
    const char *zone = strstr(text, " +0000");
    int64_t ms;

    if (!zone || strlen(text) < strlen("2024-05-01 10:11:12") || text[10] != ' ')
        return 0;
    snprintf(rfc, sizeof(rfc), "%.10sT%.*sZ", text, (int)(zone - text - 11), text + 11);
    return time_text_read(&ms, rfc) ? ms : 0;
}

/* When the document was made. */
static int64_t document_time(const bson_t *document)
{
    bson_iter_t id;

    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_OID(&id))
        return 0;
    return (int64_t)bson_oid_get_time_t(bson_iter_oid(&id)) * 1000;
}

/* ---- a document ---- */

/* Until its first record was written, the sequence number is only where the shard begins; and
 * that record has not been written yet of which LATEST speaks. */
static bool has_position(const struct fields *fields)
{
    return strcmp(fields->iterator, "AT_SEQUENCE_NUMBER") == 0 && *fields->updated &&
           ddb_sequence_is_legal(bytes_of(fields->sequence));
}

static enum nimoshake_progress progress_of(const struct fields *fields)
{
    if (strcmp(fields->status, "done") == 0 ||
        strcmp(fields->status, "no need to process") == 0)
        return NIMOSHAKE_DONE;
    return has_position(fields) ? NIMOSHAKE_BEHIND : NIMOSHAKE_BEFORE;
}

/* A shard holds nothing older than itself. One with LATEST was found before the copy began,
 * which has what was older. */
static int64_t complete_to(const struct fields *fields, const bson_t *document)
{
    int64_t ms = nimoshake_checkpoint_shard_time(fields->id);

    if (has_position(fields))
        ms = MAX(ms, record_time(fields->record_time));
    if (strcmp(fields->iterator, "LATEST") == 0)
        ms = MAX(ms, document_time(document));
    return ms;
}

bool nimoshake_checkpoint_read(struct nimoshake_shard *ret, const bson_t *document)
{
    struct fields fields;

    read_fields(&fields, document);
    if (!*fields.id || !*fields.status)
        return false;
    ret->id = xstrdup(fields.id);
    ret->parent = xstrdup(fields.parent);
    ret->progress = progress_of(&fields);
    ret->sequence = xstrdup(ret->progress == NIMOSHAKE_BEHIND ? fields.sequence : "");
    /* Found while it followed the stream, it says "unknown". */
    ret->found_by_copy = strcmp(fields.worker, "unknown-worker") == 0;
    ret->complete_to_ms = complete_to(&fields, document);
    return true;
}

void nimoshake_checkpoint_status(char *ret, size_t size, const bson_t *document)
{
    bson_read_text(ret, size, document, "StatusValue");
    if (!*ret)
        bson_read_text(ret, size, document, "status_value");
}

/* ---- a table ---- */

const struct nimoshake_shard *nimoshake_checkpoint_find(const struct nimoshake_table *table,
                                                        const char *id)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->shards[i].id, id) == 0)
            return &table->shards[i];
    return NULL;
}

void nimoshake_checkpoint_table_release(struct nimoshake_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->shards[i].id);
        free(table->shards[i].parent);
        free(table->shards[i].sequence);
    }
    free(table->shards);
    free(table->name);
}

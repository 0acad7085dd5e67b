/* tests/unit/test_nimoshake_checkpoint.c - what a document of NimoShake says of a shard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/mongo/mongo.h"
#include "producer/nimoshake_checkpoint.h"

#define SHARD "shardId-00000001760000000000-03819eba"
#define SHARD_MS INT64_C(1760000000000)
#define RECORD_MS INT64_C(1760000123000)
#define RECORD_TIME "2025-10-09 08:55:23 +0000 UTC"

struct document { /* NULL: the field is missing */
    const char *status, *sequence, *iterator, *updated, *record_time;
};

static void append(bson_t *doc, const char *name, const char *value)
{
    if (value)
        BSON_APPEND_UTF8(doc, name, value);
}

static void newer(bson_t *ret, const struct document *from)
{
    bson_init(ret);
    append(ret, "ShardId", SHARD);
    append(ret, "FatherId", "shardId-00000001759990000000-00000001");
    append(ret, "SequenceNumber", from->sequence);
    append(ret, "Status", from->status);
    append(ret, "WorkerId", "unknown-worker");
    append(ret, "IteratorType", from->iterator);
    append(ret, "ShardIt", "see sequence number");
    append(ret, "UpdateDate", from->updated);
    append(ret, "ApproximateTime", from->record_time);
}

static void older(bson_t *ret, const struct document *from)
{
    bson_init(ret);
    append(ret, "shard_id", SHARD);
    append(ret, "father_id", "shardId-00000001759990000000-00000001");
    append(ret, "seq_num", from->sequence);
    append(ret, "status", from->status);
    append(ret, "iterator_type", from->iterator);
    append(ret, "update_date", from->updated);
}

static void expect(bson_t *doc, enum nimoshake_progress progress, const char *sequence,
                   int64_t complete_to_ms)
{
    struct nimoshake_table table = {.shards = xcalloc(1, sizeof(*table.shards)), .count = 1};
    struct nimoshake_shard *shard = &table.shards[0];

    assert_true(nimoshake_checkpoint_read(shard, doc));
    assert_true(shard->found_by_copy == bson_has_field(doc, "WorkerId"));
    assert_string_equal(shard->id, SHARD);
    assert_string_equal(shard->parent, "shardId-00000001759990000000-00000001");
    assert_int_equal(shard->progress, progress);
    assert_string_equal(shard->sequence, sequence);
    assert_int_equal(shard->complete_to_ms, complete_to_ms);
    nimoshake_checkpoint_table_release(&table);
    bson_destroy(doc);
}

static void a_position_is_behind_what_was_written(void **state)
{
    const struct document doc = {"in processing", "39136900000000000325557205",
                                 "AT_SEQUENCE_NUMBER", "2025-10-09T16:55:30Z", RECORD_TIME};
    bson_t bson;

    (void)state;
    newer(&bson, &doc);
    expect(&bson, NIMOSHAKE_BEHIND, doc.sequence, RECORD_MS);
    older(&bson, &doc); /* it told no time of records */
    expect(&bson, NIMOSHAKE_BEHIND, doc.sequence, SHARD_MS);
}

/* A new child has the number at which it starts, which may be that of its first record. */
static void a_shard_of_which_nothing_was_written_has_no_position(void **state)
{
    const struct document child = {"in processing", "39136900000000000325557205",
                                   "AT_SEQUENCE_NUMBER", "", NULL};
    const struct document horizon = {"prepare stage", "39136900000000000325557205",
                                     "TRIM_HORIZON", "", ""};
    const struct document odd = {"in processing", "see above", "AT_SEQUENCE_NUMBER",
                                 "2025-10-09T16:55:30Z", RECORD_TIME};
    bson_t bson;

    (void)state;
    older(&bson, &child);
    expect(&bson, NIMOSHAKE_BEFORE, "", SHARD_MS);
    newer(&bson, &horizon);
    expect(&bson, NIMOSHAKE_BEFORE, "", SHARD_MS);
    newer(&bson, &odd);
    expect(&bson, NIMOSHAKE_BEFORE, "", SHARD_MS);
}

/* The record of LATEST's number was not written; what was older is in the copy that followed.
 */
static void a_shard_that_was_found_before_the_copy_is_complete_to_then(void **state)
{
    const struct document latest = {"prepare stage", "39136900000000000325557205", "LATEST", "",
                                    NULL};
    bson_oid_t id;
    bson_t bson;

    (void)state;
    bson_oid_init_from_string(&id, "68e77c400000000000000001"); /* 2025-10-09T09:11:28Z */
    newer(&bson, &latest);
    BSON_APPEND_OID(&bson, "_id", &id);
    expect(&bson, NIMOSHAKE_BEFORE, "", (int64_t)0x68e77c40 * 1000);
}

static void what_was_finished_is_done(void **state)
{
    static const char *const finished[] = {"done", "no need to process"};
    bson_t bson;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(finished); i++) {
        const struct document doc = {finished[i], "17", "AT_SEQUENCE_NUMBER", "x", RECORD_TIME};

        newer(&bson, &doc);
        expect(&bson, NIMOSHAKE_DONE, "", RECORD_MS);
    }
}

static void a_document_without_shard_or_status_is_none(void **state)
{
    AUTO(mongo_bsonp) bson_t *shardless = BCON_NEW("Status", BCON_UTF8("done"));
    AUTO(mongo_bsonp) bson_t *stateless = BCON_NEW("shard_id", BCON_UTF8(SHARD));
    struct nimoshake_shard shard;

    (void)state;
    assert_false(nimoshake_checkpoint_read(&shard, shardless));
    assert_false(nimoshake_checkpoint_read(&shard, stateless));
}

static void names_of_shards_tell_their_time_or_nothing(void **state)
{
    (void)state;
    assert_int_equal(nimoshake_checkpoint_shard_time(SHARD), SHARD_MS);
    assert_int_equal(nimoshake_checkpoint_shard_time("shardId-00000000000000000001-03819eba"),
                     0);
    assert_int_equal(nimoshake_checkpoint_shard_time("shardId-99999991760000000000-03819eba"),
                     0);
    assert_int_equal(nimoshake_checkpoint_shard_time("shardId-0000000176000000000x-03819eba"),
                     0);
    assert_int_equal(nimoshake_checkpoint_shard_time("shardId-00000001760000000000"), 0);
    assert_int_equal(nimoshake_checkpoint_shard_time("shardId-"), 0);
    assert_int_equal(nimoshake_checkpoint_shard_time(""), 0);
}

static void the_stage_has_two_spellings(void **state)
{
    AUTO(mongo_bsonp)
    bson_t *new =
        BCON_NEW("Key", BCON_UTF8("status_key"), "StatusValue", BCON_UTF8("incr_sync"));
    AUTO(mongo_bsonp)
    bson_t *old =
        BCON_NEW("key", BCON_UTF8("status_key"), "status_value", BCON_UTF8("full_sync"));
    char status[32];

    (void)state;
    nimoshake_checkpoint_status(status, sizeof(status), new);
    assert_string_equal(status, "incr_sync");
    nimoshake_checkpoint_status(status, sizeof(status), old);
    assert_string_equal(status, "full_sync");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_is_behind_what_was_written),
        cmocka_unit_test(a_shard_of_which_nothing_was_written_has_no_position),
        cmocka_unit_test(a_shard_that_was_found_before_the_copy_is_complete_to_then),
        cmocka_unit_test(what_was_finished_is_done),
        cmocka_unit_test(a_document_without_shard_or_status_is_none),
        cmocka_unit_test(names_of_shards_tell_their_time_or_nothing),
        cmocka_unit_test(the_stage_has_two_spellings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

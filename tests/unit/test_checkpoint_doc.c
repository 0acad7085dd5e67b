/* Documents as NimoShake's users know them, from ledger records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mongo/mongo.h"
#include "consumer/checkpoint_doc.h"

#define MARK "dynaferry/target"

static void expect(bson_t *doc, const char *json)
{
    char *text = bson_as_relaxed_extended_json(doc, NULL);
    bson_t wanted;

    assert_true(bson_init_from_json(&wanted, json, -1, NULL));
    if (!bson_equal(doc, &wanted))
        assert_string_equal(text, json);
    bson_free(text);
    bson_destroy(&wanted);
    bson_destroy(doc);
}

static void a_shard_is_there_in_both_spellings(void **state)
{
    const struct ledger_shard shard = {.generation = 7,
                                       .id = (char *)"shardId-2",
                                       .parent = (char *)"shardId-1",
                                       .status = SHARD_IN_PROCESSING,
                                       .sequence = (char *)"100000000000000000042",
                                       .updated_ms = 1760000003500,
                                       .source_ms = 1760000003000};

    (void)state;
    expect(checkpoint_doc_shard(&shard, MARK),
           "{\"_id\": \"shardId-2\", \"ShardId\": \"shardId-2\", \"FatherId\": \"shardId-1\", "
           "\"SequenceNumber\": \"100000000000000000042\", \"Status\": \"in processing\", "
           "\"WorkerId\": \"dynaferry\", \"IteratorType\": \"AT_SEQUENCE_NUMBER\", "
           "\"ShardIt\": \"\", \"UpdateDate\": \"2025-10-09T08:53:23Z\", "
           "\"ApproximateTime\": \"2025-10-09 08:53:23 +0000 UTC\", "
           "\"shard_id\": \"shardId-2\", \"father_id\": \"shardId-1\", "
           "\"seq_num\": \"100000000000000000042\", \"status\": \"in processing\", "
           "\"worker_id\": \"dynaferry\", \"iterator_type\": \"AT_SEQUENCE_NUMBER\", "
           "\"shard_it\": \"\", \"update_date\": \"2025-10-09T08:53:23Z\", "
           "\"dynaferry\": \"" MARK "\"}");
}

/* NimoShake ends when it is to go on AT_SEQUENCE_NUMBER without a number. */
static void a_shard_without_a_record_is_read_from_the_horizon(void **state)
{
    const struct ledger_shard shard = {.id = (char *)"shardId-2",
                                       .parent = (char *)"",
                                       .status = SHARD_PREPARE,
                                       .sequence = (char *)""};

    (void)state;
    expect(checkpoint_doc_shard(&shard, MARK),
           "{\"_id\": \"shardId-2\", \"ShardId\": \"shardId-2\", \"FatherId\": \"\", "
           "\"SequenceNumber\": \"\", \"Status\": \"prepare stage\", "
           "\"WorkerId\": \"dynaferry\", \"IteratorType\": \"TRIM_HORIZON\", "
           "\"ShardIt\": \"\", \"UpdateDate\": \"\", \"ApproximateTime\": \"\", "
           "\"shard_id\": \"shardId-2\", \"father_id\": \"\", \"seq_num\": \"\", "
           "\"status\": \"prepare stage\", \"worker_id\": \"dynaferry\", "
           "\"iterator_type\": \"TRIM_HORIZON\", \"shard_it\": \"\", \"update_date\": \"\", "
           "\"dynaferry\": \"" MARK "\"}");
}

static void each_state_has_nimoshakes_word(void **state)
{
    static const char *const words[] = {
        [SHARD_NOT_PROCESS] = "not process",        [SHARD_NO_NEED] = "no need to process",
        [SHARD_PREPARE] = "prepare stage",          [SHARD_IN_PROCESSING] = "in processing",
        [SHARD_WAIT_FATHER] = "wait father finish", [SHARD_DONE] = "done"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const struct ledger_shard shard = {.id = (char *)"s",
                                           .parent = (char *)"",
                                           .status = (enum shard_status)i,
                                           .sequence = (char *)""};
        AUTO(mongo_bsonp) bson_t *doc = checkpoint_doc_shard(&shard, MARK);
        bson_iter_t it;

        assert_true(bson_iter_init_find(&it, doc, "Status"));
        assert_string_equal(bson_iter_utf8(&it, NULL), words[i]);
        assert_true(bson_iter_init_find(&it, doc, "status"));
        assert_string_equal(bson_iter_utf8(&it, NULL), words[i]);
    }
}

static void the_status_is_there_in_both_spellings(void **state)
{
    (void)state;
    expect(checkpoint_doc_status("incr_sync", MARK),
           "{\"_id\": \"status_key\", \"Key\": \"status_key\", \"StatusValue\": \"incr_sync\", "
           "\"key\": \"status_key\", \"status_value\": \"incr_sync\", "
           "\"dynaferry\": \"" MARK "\"}");
}

static void only_our_own_mark_makes_a_document_ours(void **state)
{
    static const struct {
        const char *json;
        bool ours;
    } cases[] = {
        {"{\"_id\": \"a\", \"dynaferry\": \"" MARK "\"}", true},
        {"{\"_id\": \"a\", \"dynaferry\": \"dynaferry/another\"}", false},
        {"{\"_id\": \"a\", \"dynaferry\": true}", false},
        {"{\"_id\": \"a\", \"ShardId\": \"a\"}", false},
        {"{}", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bson_t doc;

        assert_true(bson_init_from_json(&doc, cases[i].json, -1, NULL));
        assert_int_equal(checkpoint_doc_is_ours(&doc, MARK), cases[i].ours);
        bson_destroy(&doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shard_is_there_in_both_spellings),
        cmocka_unit_test(a_shard_without_a_record_is_read_from_the_horizon),
        cmocka_unit_test(each_state_has_nimoshakes_word),
        cmocka_unit_test(the_status_is_there_in_both_spellings),
        cmocka_unit_test(only_our_own_mark_makes_a_document_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

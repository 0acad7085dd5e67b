/* tests/unit/test_status.c - what status says of a bridge: figures, JSON, and whether a target
 * provably holds everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "status/applied.h"
#include "status/bridge.h"
#include "status/proof.h"
#include "status/totals.h"
#include "status/view_json.h"
#include "support_vector.h"

#define NOW INT64_C(1760000010000)
#define BEGAN INT64_C(1760000000000)
#define HOUR INT64_C(3600000)

/* ---- a bridge with one table: two partitions, one open shard, all of it applied ---- */

struct scene {
    struct bridge bridge;
    struct bridge_table *table;
};

static void place(struct bridge_partition *at, int64_t offset, int64_t end)
{
    *at = (struct bridge_partition){.low = 0,
                                    .end = end,
                                    .high = end,
                                    .first = offset,
                                    .position = position_doc_absent,
                                    .position_known = true,
                                    .waits_ms = offset < end ? NOW - 2000 : 0};
    at->position.found = true;
    at->position.offset = offset;
    strcpy(at->position.log_id, "log");
}

static struct ledger_shard shard(const char *id, enum shard_status status, int64_t complete_to)
{
    return (struct ledger_shard){.generation = BEGAN,
                                 .id = xstrdup(id),
                                 .parent = xstrdup(""),
                                 .status = status,
                                 .sequence = xstrdup("42"),
                                 .complete_to_ms = complete_to};
}

static void scene_open(struct scene *scene)
{
    struct bridge_table *table = xcalloc(1, sizeof(*table));

    scene->bridge = (struct bridge){.prefix = "dynaferry",
                                    .at_ms = NOW,
                                    .tables = table,
                                    .count = 1,
                                    .producers_known = true,
                                    .consumers_known = true,
                                    .letters_known = true};
    scene->table = table;
    table->name = xstrdup("orders");
    table->has_record = true;
    table->record = (struct ledger_table){.table = xstrdup("orders"),
                                          .topic = xstrdup("dynaferry.orders"),
                                          .phase = PHASE_TAIL,
                                          .reason = xstrdup(""),
                                          .generation = BEGAN,
                                          .table_id = xstrdup(""),
                                          .stream_arn = xstrdup(""),
                                          .item_count = 50000,
                                          .segments = 4,
                                          .partitions = 2,
                                          .log_id = xstrdup("log"),
                                          .rows = true,
                                          .listed_ms = NOW,
                                          .started_ms = BEGAN,
                                          .finished_ms = NOW - 1000};
    table->partitions = xcalloc(2, sizeof(*table->partitions));
    place(&table->partitions[0], 100, 100);
    place(&table->partitions[1], 200, 200);
    table->shards = xcalloc(4, sizeof(*table->shards));
    table->shards[table->shard_count++] = shard("open", SHARD_IN_PROCESSING, NOW - 500);
}

static void add_letters(struct scene *scene, int64_t count)
{
    struct bridge_table *table = scene->table;

    table->letters = xcalloc(1, sizeof(*table->letters));
    table->letters_count = 1;
    table->letters[0] = (struct bridge_letters){xstrdup("consumer"),
                                                xstrdup("Document failed validation"), count};
}

static void scene_close(struct scene *scene)
{
    bridge_release(&scene->bridge);
}

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = xstrdup(value);
}

/* ---- up to where it is applied ---- */

static void what_is_applied_again_is_not_held(void **state)
{
    AUTO(scene_close) struct scene scene;
    struct bridge_partition *at;

    (void)state;
    scene_open(&scene);
    at = &scene.table->partitions[0];
    assert_int_equal(applied_offset(scene.table, 0), 100);
    at->position.rewind = 40;
    assert_int_equal(applied_offset(scene.table, 0), 40);
    at->position.again = 30;
    assert_int_equal(applied_offset(scene.table, 0), 30);
    at->position.rewind = at->position.again = POSITION_NONE;
    strcpy(at->position.log_id, "another log");
    assert_int_equal(applied_offset(scene.table, 0), 0);
    scene.table->record.begin_offsets = xcalloc(2, sizeof(int64_t));
    scene.table->record.begin_offsets[0] = 7;
    assert_int_equal(applied_offset(scene.table, 0), 7);
    at->position.found = false;
    assert_int_equal(applied_offset(scene.table, 0), 7);
}

static void markers_alone_are_no_lag(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    place(&scene.table->partitions[0], 100, 102);
    assert_int_equal(applied_lag(scene.table, 0), 2);
    scene.table->partitions[0].waits_ms = 0;
    assert_int_equal(applied_lag(scene.table, 0), 0);
    scene.table->partitions[0].position_known = false;
    assert_int_equal(applied_lag(scene.table, 0), NOT_KNOWN);
}

/* Retention took what comes next; or the topic is another one, or lost its end. */
static void what_the_log_does_not_hold_is_not_known_to_be_applied(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    scene.table->partitions[0].low = 101;
    scene.table->partitions[0].end = 101;
    assert_int_equal(applied_lag(scene.table, 0), NOT_KNOWN);
    place(&scene.table->partitions[0], 100, 99);
    assert_int_equal(applied_lag(scene.table, 0), NOT_KNOWN);
}

/* ---- figures ---- */

static struct totals totals(const struct scene *scene, const struct bridge *before)
{
    struct totals ret;

    totals_of(&ret, &scene->bridge, scene->table, before);
    return ret;
}

static void a_snapshot_shows_how_far_it_is(void **state)
{
    AUTO(scene_close) struct scene scene, before;
    struct ledger_table *record;

    (void)state;
    scene_open(&scene);
    scene_open(&before);
    record = &scene.table->record;
    assert_int_equal(totals(&scene, NULL).percent, 100);
    assert_int_equal(totals(&scene, NULL).eta_s, 0);
    record->phase = PHASE_SNAPSHOT;
    record->finished_ms = 0;
    scene.table->rows = 12000;
    assert_int_equal(totals(&scene, NULL).percent, 24);
    assert_int_equal(totals(&scene, NULL).rows_per_s, 1200); /* in 10 s */
    assert_int_equal(totals(&scene, NULL).eta_s, 32);
    before.bridge.at_ms = NOW - 2000;
    before.table->rows = 2000;
    assert_int_equal(totals(&scene, &before.bridge).rows_per_s, 5000);
    before.table->record.generation = BEGAN - 1; /* its rows are others */
    assert_int_equal(totals(&scene, &before.bridge).rows_per_s, 1200);
    scene.table->rows = 60000; /* more than the service had estimated */
    assert_int_equal(totals(&scene, NULL).percent, 99);
    assert_int_equal(totals(&scene, NULL).eta_s, NOT_KNOWN);
    record->item_count = 0;
    scene.table->segments_done = 3;
    assert_int_equal(totals(&scene, NULL).percent, 75);
    record->generation = 0;
    assert_int_equal(totals(&scene, NULL).percent, NOT_KNOWN);
}

static void the_oldest_open_shard_counts(void **state)
{
    AUTO(scene_close) struct scene scene;
    struct bridge_table *table;

    (void)state;
    scene_open(&scene);
    table = scene.table;
    assert_int_equal(totals(&scene, NULL).read_lag_ms, 500);
    table->shards[table->shard_count++] = shard("done", SHARD_DONE, NOW - 9 * HOUR);
    table->shards[table->shard_count++] = shard("old", SHARD_WAIT_FATHER, NOW - 2 * HOUR);
    assert_int_equal(totals(&scene, NULL).read_lag_ms, 2 * HOUR);
    assert_int_equal(totals(&scene, NULL).trim_ms, 22 * HOUR);
    assert_int_equal(totals(&scene, NULL).open_shards, 2);
}

static void one_partition_that_is_not_known_makes_the_lag_unknown(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    place(&scene.table->partitions[0], 90, 100);
    assert_int_equal(totals(&scene, NULL).lag, 10);
    assert_int_equal(totals(&scene, NULL).apply_lag_ms, 2000);
    scene.table->partitions[1].end = NOT_KNOWN;
    scene.table->partitions[1].waits_ms = NOT_KNOWN;
    assert_int_equal(totals(&scene, NULL).lag, NOT_KNOWN);
    assert_int_equal(totals(&scene, NULL).apply_lag_ms, NOT_KNOWN);
}

/* ---- the proof ---- */

static enum proof proof(const struct scene *scene, int64_t before_ms, const char *why)
{
    const int64_t ends[] = {scene->table->partitions[0].high, scene->table->partitions[1].high};
    AUTO(buf_release) struct buf out;
    enum proof verdict;

    buf_init(&out, 4096);
    verdict = proof_of_log(scene->table, before_ms, true, &out);
    if (verdict == PROOF_HELD)
        verdict = proof_of_target(&scene->bridge, scene->table, ends, &out);
    if (why && !strstr(buf_cstr(&out), why))
        fail_msg("\"%s\" is not in \"%s\"", why, buf_cstr(&out));
    if (!why)
        assert_string_equal(buf_cstr(&out), "");
    return verdict;
}

static void all_is_held_when_all_is_read_and_applied(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    assert_int_equal(proof(&scene, NOW - 501, NULL), PROOF_HELD);
    assert_int_equal(proof(&scene, NOW - 500, "open is read to"), PROOF_ASK);
}

static void a_shard_that_waits_for_its_parent_counts(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    scene.table->shards[scene.table->shard_count++] =
        shard("child", SHARD_WAIT_FATHER, NOW - HOUR);
    assert_int_equal(proof(&scene, NOW - 1000, "1 shard is not proven"), PROOF_ASK);
    scene.table->shards[1].complete_to_ms = NOW; /* its parent's: nothing of it was read */
    assert_int_equal(proof(&scene, NOW - 1000, "1 shard is not proven"), PROOF_ASK);
    scene.table->shards[1].adopted = true; /* the copy has what is older */
    assert_int_equal(proof(&scene, NOW - 1000, NULL), PROOF_HELD);
    scene.table->shards[1].status = SHARD_NO_NEED;
    assert_int_equal(proof(&scene, NOW - 1000, NULL), PROOF_HELD);
}

static void a_closed_shard_without_a_child_is_not_the_end(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    scene.table->shards[scene.table->shard_count++] = shard("closed", SHARD_DONE, NOW);
    assert_int_equal(proof(&scene, NOW - 1000, "that follows closed is not listed"), PROOF_ASK);
    set_text(&scene.table->shards[0].parent, "closed");
    assert_int_equal(proof(&scene, NOW - 1000, NULL), PROOF_HELD);
}

static void a_table_without_shards_is_not_followed(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    ledger_shard_release(&scene.table->shards[0]);
    scene.table->shard_count = 0;
    assert_int_equal(proof(&scene, NOW - 1000, "no shard of its stream"), PROOF_ASK);
}

static void a_partition_that_is_behind_is_waited_for(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    place(&scene.table->partitions[1], 190, 200);
    assert_int_equal(proof(&scene, NOW - 1000, "1 partition is not applied to the end: 10 "),
                     PROOF_WAIT);
    place(&scene.table->partitions[1], 200, 200);
    scene.table->partitions[1].position.again = 150; /* a late write may lie there */
    scene.table->partitions[1].first = 150;
    scene.table->partitions[1].waits_ms = NOW - 2000;
    assert_int_equal(proof(&scene, NOW - 1000, "50 records left"), PROOF_WAIT);
    scene.table->partitions[1].position_known = false;
    assert_int_equal(proof(&scene, NOW - 1000, "can't be read"), PROOF_UNKNOWN);
}

/* A shard that nobody knows of may hold something, whatever the others say. */
static void shards_that_were_listed_earlier_are_not_all(void **state)
{
    AUTO(scene_close) struct scene scene;
    AUTO(buf_release) struct buf out;

    (void)state;
    scene_open(&scene);
    scene.table->record.listed_ms = NOW - 1001;
    assert_int_equal(proof(&scene, NOW - 1000, "have not been listed since"), PROOF_ASK);
    buf_init(&out, 4096);
    assert_int_equal(proof_of_log(scene.table, NOW - 1000, false, &out), PROOF_HELD);
    scene.table->record.listed_ms = NOW - 1000;
    assert_int_equal(proof(&scene, NOW - 1000, NULL), PROOF_HELD);
}

/* A transaction is committed, as its shard's position shows, and its marker has not reached
 * this partition: what is committed there ends before its records. */
static void records_whose_marker_is_under_way_count(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    scene.table->partitions[0].high = 105;
    assert_int_equal(proof(&scene, NOW - 1000, "1 partition is not applied to the end: 5 "),
                     PROOF_WAIT);
    place(&scene.table->partitions[0], 104, 106);
    scene.table->partitions[0].first = 106; /* two markers */
    scene.table->partitions[0].waits_ms = 0;
    assert_int_equal(proof(&scene, NOW - 1000, NULL), PROOF_HELD);
}

/* Writes go on: what comes behind the ends is not asked for. */
static void what_is_appended_later_is_not_waited_for(void **state)
{
    static const int64_t ends[] = {100, 200};
    AUTO(scene_close) struct scene scene;
    AUTO(buf_release) struct buf out;

    (void)state;
    scene_open(&scene);
    buf_init(&out, 4096);
    place(&scene.table->partitions[0], 99, 5000);
    assert_int_equal(proof_of_target(&scene.bridge, scene.table, ends, &out), PROOF_WAIT);
    place(&scene.table->partitions[0], 100, 5000);
    assert_int_equal(proof_of_target(&scene.bridge, scene.table, ends, &out), PROOF_HELD);
    place(&scene.table->partitions[0], 99, 5000);
    scene.table->partitions[0].first = 101; /* at 99 and 100 stand markers */
    assert_int_equal(proof_of_target(&scene.bridge, scene.table, ends, &out), PROOF_HELD);
}

/* An empty topic of another target: nobody has applied even its begin. */
static void a_partition_without_a_position_is_not_held(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    place(&scene.table->partitions[0], 0, 0);
    scene.table->partitions[0].position.found = false;
    assert_int_equal(proof(&scene, NOW - 1000, "1 partition is not applied"), PROOF_WAIT);
}

static void each_phase_says_what_is_missing(void **state)
{
    static const struct {
        enum ledger_phase phase;
        bool renew;
        enum proof verdict;
        const char *why;
    } cases[] = {
        {PHASE_SNAPSHOT, false, PROOF_WAIT, "its snapshot has not ended"},
        {PHASE_GAP, true, PROOF_WAIT, "it has a gap, and is copied again"},
        {PHASE_GAP, false, PROOF_NEVER, "phase gap: a reason"},
        {PHASE_PAUSED, false, PROOF_NEVER, "phase paused: a reason"},
        {PHASE_GONE, true, PROOF_NEVER, "phase gone: a reason"},
        {PHASE_FAILED, false, PROOF_NEVER, "phase failed: a reason"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(scene_close) struct scene scene;

        scene_open(&scene);
        scene.table->record.phase = cases[i].phase;
        scene.table->record.renew = cases[i].renew;
        set_text(&scene.table->record.reason, "a reason");
        assert_int_equal(proof(&scene, NOW - 1000, cases[i].why), cases[i].verdict);
    }
}

static void dead_letters_are_not_held(void **state)
{
    AUTO(scene_close) struct scene scene;

    (void)state;
    scene_open(&scene);
    add_letters(&scene, 2);
    assert_int_equal(proof(&scene, NOW - 1000, "2 dead letters"), PROOF_NEVER);
    scene.bridge.letters_known = false;
    assert_int_equal(proof(&scene, NOW - 1000, "can't be read"), PROOF_UNKNOWN);
}

/* ---- JSON ---- */

static void add_member(struct bridge *bridge, const char *role, const char *name,
                       const char *host)
{
    bridge->members =
        xrealloc(bridge->members, (bridge->member_count + 1) * sizeof(*bridge->members));
    bridge->members[bridge->member_count++] =
        (struct bridge_member){role, xstrdup(name), xstrdup(host)};
}

/* The bridge of the example. */
static void fill_example(struct scene *scene)
{
    struct bridge_table *table = scene->table;
    struct ledger_shard *one = &table->shards[0];

    table->record.phase = PHASE_SNAPSHOT;
    table->record.finished_ms = 0;
    table->record.begin_offsets = xcalloc(2, sizeof(int64_t));
    set_text(&table->record.log_id, "9f86d081884c7d65");
    table->place = 5;
    table->producer = xstrdup("host-a");
    table->segments_done = 1;
    table->rows = 12000;
    table->bytes = 6144000;
    set_text(&one->id, "shardId-00000001760000000000-0a1b2c3d");
    set_text(&one->sequence, "100000000000000000042");
    one->records = 42;
    one->updated_ms = NOW - 6500;
    one->source_ms = one->complete_to_ms = NOW - 7000;
    place(&table->partitions[0], 16000, 16012);
    strcpy(table->partitions[0].position.log_id, "9f86d081884c7d65");
    strcpy(table->partitions[0].position.owner, "host-b-77-1");
    table->partitions[0].consumer = xstrdup("host-b");
    table->partitions[1] = (struct bridge_partition){.low = NOT_KNOWN,
                                                     .end = NOT_KNOWN,
                                                     .waits_ms = NOT_KNOWN,
                                                     .position = position_doc_absent};
    add_letters(scene, 2);
    add_member(&scene->bridge, "producer", "host-a", "/10.0.0.1");
    add_member(&scene->bridge, "consumer", "host-b", "/10.0.0.2");
    bridge_not_read(&scene->bridge, "topics", "topic dynaferry.orders: timed out");
    bridge_not_read(&scene->bridge, "topics", "the first reason counts");
}

/* Placed, and begun by nobody. */
static void add_placed(struct scene *scene)
{
    struct bridge *bridge = &scene->bridge;

    bridge->tables = xrealloc(bridge->tables, 2 * sizeof(*bridge->tables));
    bridge->tables[bridge->count++] =
        (struct bridge_table){.name = xstrdup("users"), .place = 6};
    scene->table = bridge->tables;
}

static void json_is_as_the_example(void **state)
{
    AUTO(scene_close) struct scene scene;
    AUTO(buf_release) struct buf out, wanted;

    (void)state;
    scene_open(&scene);
    fill_example(&scene);
    add_placed(&scene);
    vector_read_message(&wanted, "status");
    buf_init(&out, 65536);
    view_json(&out, &scene.bridge, NULL);
    buf_char(&wanted, '\n');
    assert_string_equal(buf_cstr(&out), buf_cstr(&wanted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_applied_again_is_not_held),
        cmocka_unit_test(markers_alone_are_no_lag),
        cmocka_unit_test(what_the_log_does_not_hold_is_not_known_to_be_applied),
        cmocka_unit_test(a_snapshot_shows_how_far_it_is),
        cmocka_unit_test(the_oldest_open_shard_counts),
        cmocka_unit_test(one_partition_that_is_not_known_makes_the_lag_unknown),
        cmocka_unit_test(all_is_held_when_all_is_read_and_applied),
        cmocka_unit_test(a_shard_that_waits_for_its_parent_counts),
        cmocka_unit_test(a_closed_shard_without_a_child_is_not_the_end),
        cmocka_unit_test(a_table_without_shards_is_not_followed),
        cmocka_unit_test(a_partition_that_is_behind_is_waited_for),
        cmocka_unit_test(shards_that_were_listed_earlier_are_not_all),
        cmocka_unit_test(records_whose_marker_is_under_way_count),
        cmocka_unit_test(what_is_appended_later_is_not_waited_for),
        cmocka_unit_test(a_partition_without_a_position_is_not_held),
        cmocka_unit_test(each_phase_says_what_is_missing),
        cmocka_unit_test(dead_letters_are_not_held),
        cmocka_unit_test(json_is_as_the_example),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_shard_take_over.c - which shards go on where NimoShake was, and when none
 * can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "producer/shard_take_over.h"

#define NOW INT64_C(1760000000000)
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

static struct ddb_shard shard(const char *id, const char *parent, const char *ending)
{
    return (struct ddb_shard){(char *)id, (char *)parent, "1", (char *)ending};
}

#define STREAM(...)                                                                            \
    (struct ddb_stream)                                                                        \
    {                                                                                          \
        .shards = (struct ddb_shard[]){__VA_ARGS__},                                           \
        .shard_count = sizeof((struct ddb_shard[]){__VA_ARGS__}) / sizeof(struct ddb_shard),   \
    }

static struct nimoshake_shard known(const char *id, enum nimoshake_progress progress,
                                    int64_t complete_to_ms)
{
    return (struct nimoshake_shard){
        .id = (char *)id,
        .parent = "",
        .progress = progress,
        .sequence = progress == NIMOSHAKE_BEHIND ? "42" : "",
        .found_by_copy = true,
        .complete_to_ms = complete_to_ms,
    };
}

/* While it followed the stream. What stands above it may have been listed later, and not read.
 */
static struct nimoshake_shard found_late(const char *id, int64_t complete_to_ms)
{
    struct nimoshake_shard shard = known(id, NIMOSHAKE_BEHIND, complete_to_ms);

    shard.found_by_copy = false;
    return shard;
}

#define CHECKPOINTS(...)                                                                       \
    (struct nimoshake_table)                                                                   \
    {                                                                                          \
        .name = "t", .shards = (struct nimoshake_shard[]){__VA_ARGS__},                        \
        .count =                                                                               \
            sizeof((struct nimoshake_shard[]){__VA_ARGS__}) / sizeof(struct nimoshake_shard),  \
    }

/* Names of shards that are an hour and a day old. */
#define YOUNG "shardId-00000001759996400000-00000001"
#define OLD "shardId-00000001759910000000-00000001"

static void release(struct shard_tree *tree)
{
    shard_tree_release(tree, NULL);
}

/* why: what the refusal names; NULL: it is possible. */
static struct shard_tree take_over(const struct ddb_stream *stream,
                                   const struct nimoshake_table *checkpoints, const char *why)
{
    struct shard_tree tree = {0};
    char *found = shard_take_over(&tree, stream, checkpoints, 7, NOW);

    if (!why)
        assert_null(found);
    else if (!found || !strstr(found, why))
        fail_msg("\"%s\" is not in \"%s\"", why, found ? found : "(possible)");
    free(found);
    return tree;
}

static const struct tree_shard *find(const struct shard_tree *tree, const char *id)
{
    const struct tree_shard *found = shard_tree_find(tree, id);

    assert_non_null(found);
    return found;
}

static void each_shard_goes_on_where_it_was(void **state)
{
    struct ddb_stream stream =
        STREAM(shard("done", "", "9"), shard("behind", "done", ""), shard("before", "", ""));
    struct nimoshake_table checkpoints = CHECKPOINTS(
        known("done", NIMOSHAKE_DONE, 0), known("behind", NIMOSHAKE_BEHIND, NOW - MINUTE),
        known("before", NIMOSHAKE_BEFORE, NOW - HOUR));
    AUTO(release) struct shard_tree tree = take_over(&stream, &checkpoints, NULL);

    (void)state;
    assert_int_equal(shard_tree_count(&tree), 3);
    assert_int_equal(find(&tree, "done")->now.status, SHARD_DONE);
    assert_int_equal(find(&tree, "behind")->now.status, SHARD_IN_PROCESSING);
    assert_string_equal(find(&tree, "behind")->now.sequence, "42");
    assert_int_equal(find(&tree, "behind")->now.generation, 7);
    assert_int_equal(find(&tree, "before")->now.status, SHARD_PREPARE);
    assert_string_equal(find(&tree, "before")->now.sequence, "");
    assert_int_equal(find(&tree, "before")->now.complete_to_ms, NOW - HOUR);
    shard_recorded(&tree, shard_tree_find(&tree, "done"));
    assert_true(shard_is_ready(&tree, find(&tree, "behind")));
    assert_true(shard_is_ready(&tree, find(&tree, "before")));
}

/* They were opened, and maybe closed, since it was stopped. */
static void what_follows_on_a_known_shard_is_read_behind_it(void **state)
{
    struct ddb_stream stream =
        STREAM(shard("child", "parent", "9"), shard("grandchild", "child", ""),
               shard("parent", "", "5"));
    struct nimoshake_table checkpoints =
        CHECKPOINTS(known("parent", NIMOSHAKE_BEHIND, NOW - MINUTE));
    AUTO(release) struct shard_tree tree = take_over(&stream, &checkpoints, NULL);

    (void)state;
    assert_int_equal(find(&tree, "child")->now.status, SHARD_WAIT_FATHER);
    assert_int_equal(find(&tree, "grandchild")->now.status, SHARD_WAIT_FATHER);
    assert_true(shard_is_ready(&tree, find(&tree, "parent")));
    assert_false(shard_is_ready(&tree, find(&tree, "child")));
    assert_int_equal(shard_complete_to(&tree, find(&tree, "grandchild")), NOW - MINUTE);
}

static void what_follows_on_a_finished_shard_that_is_not_listed_any_more_is_read(void **state)
{
    struct ddb_stream stream = STREAM(shard(YOUNG, "finished", ""));
    struct nimoshake_table checkpoints = CHECKPOINTS(known("finished", NIMOSHAKE_DONE, 0));
    AUTO(release) struct shard_tree tree = take_over(&stream, &checkpoints, NULL);

    (void)state;
    assert_true(shard_is_ready(&tree, find(&tree, YOUNG)));
}

static void what_leads_to_a_known_shard_needs_no_reading(void **state)
{
    struct ddb_stream stream = STREAM(shard("first", "", "5"), shard("second", "first", "7"),
                                      shard("open", "second", ""));
    struct nimoshake_table checkpoints =
        CHECKPOINTS(known("open", NIMOSHAKE_BEHIND, NOW - MINUTE));
    AUTO(release) struct shard_tree tree = take_over(&stream, &checkpoints, NULL);

    (void)state;
    assert_int_equal(find(&tree, "first")->now.status, SHARD_NO_NEED);
    assert_int_equal(find(&tree, "second")->now.status, SHARD_NO_NEED);
    assert_true(shard_is_ready(&tree, find(&tree, "open")));
}

static void refuse(struct ddb_stream stream, struct nimoshake_table checkpoints,
                   const char *why)
{
    struct shard_tree tree = take_over(&stream, &checkpoints, why);

    release(&tree);
}

static void what_may_be_lost_is_copied(void **state)
{
    (void)state;
    refuse(STREAM(shard(YOUNG, "lost", "")),
           CHECKPOINTS(known("lost", NIMOSHAKE_BEHIND, NOW - MINUTE)),
           "shard lost, which it had not read to its end, is not listed");
    refuse(STREAM(shard("behind", "", ""), shard(YOUNG, "", "")),
           CHECKPOINTS(known("behind", NIMOSHAKE_BEHIND, NOW - MINUTE)),
           "neither follows on one that it knew");
    refuse(STREAM(shard("first", "", "5"), shard("unread", "first", "7"),
                  shard("open", "unread", "")),
           CHECKPOINTS(known("first", NIMOSHAKE_DONE, 0),
                       known("open", NIMOSHAKE_BEHIND, NOW - MINUTE)),
           "shard unread neither follows");
    refuse(STREAM(shard("behind", "", "")),
           CHECKPOINTS(known("behind", NIMOSHAKE_BEHIND, NOW - 23 * HOUR - 1)),
           "older than 23 h");
    refuse(STREAM(shard("behind", "", "")), CHECKPOINTS(known("behind", NIMOSHAKE_BEHIND, 0)),
           "older than 23 h");
    refuse(STREAM(shard(YOUNG, "", "5"), shard("late", YOUNG, "")),
           CHECKPOINTS(found_late("late", NOW - MINUTE)), "neither follows");
    refuse((struct ddb_stream){0}, CHECKPOINTS(known("finished", NIMOSHAKE_DONE, 0)),
           "no shard that follows on one that it knew");
    refuse(STREAM(shard(OLD, "finished", "")),
           CHECKPOINTS(known("finished", NIMOSHAKE_DONE, 0)), "older than 23 h");
}

/* Documents may name a shard twice, and a listing may be a circle. */
static void odd_input_ends(void **state)
{
    struct ddb_stream stream = STREAM(shard("a", "b", ""), shard("b", "a", ""));
    struct nimoshake_table checkpoints = CHECKPOINTS(
        known("a", NIMOSHAKE_BEHIND, NOW - MINUTE), known("a", NIMOSHAKE_BEFORE, NOW - MINUTE));
    AUTO(release) struct shard_tree tree = take_over(&stream, &checkpoints, "shard b neither");

    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_goes_on_where_it_was),
        cmocka_unit_test(what_follows_on_a_known_shard_is_read_behind_it),
        cmocka_unit_test(what_follows_on_a_finished_shard_that_is_not_listed_any_more_is_read),
        cmocka_unit_test(what_leads_to_a_known_shard_needs_no_reading),
        cmocka_unit_test(what_may_be_lost_is_copied),
        cmocka_unit_test(odd_input_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

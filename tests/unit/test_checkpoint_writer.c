/* When collections are written, and what the log is told of those that are not.
 *
 * checkpoint_store_put, the log and the clock are wrapped by the linker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/run/log.h"
#include "consumer/checkpoint_writer.h"

static struct {
    enum checkpoint_outcome outcome;
    bool answered;
    int puts, cleans;
    int64_t passed_ms;
    int not_written, left_alone, again; /* lines */
    char line[1000];
} world;

enum checkpoint_outcome __wrap_checkpoint_store_put(struct mongo *m,
                                                    const struct checkpoint_collection *c,
                                                    struct error *err);
enum checkpoint_outcome __wrap_checkpoint_store_put(struct mongo *m,
                                                    const struct checkpoint_collection *c,
                                                    struct error *err)
{
    (void)c;
    world.puts++;
    m->answered_no = world.answered;
    error_set(err, ERR_RETRY, "not authorized");
    return world.outcome;
}

int __wrap_checkpoint_store_clean(struct mongo *m, const char *mark,
                                  bool (*wanted)(void *arg, const char *collection), void *arg,
                                  struct error *err);
int __wrap_checkpoint_store_clean(struct mongo *m, const char *mark,
                                  bool (*wanted)(void *arg, const char *collection), void *arg,
                                  struct error *err)
{
    (void)m;
    (void)mark;
    (void)wanted;
    (void)arg;
    (void)err;
    world.cleans++;
    return 0;
}

void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_event(enum log_level level, const char *event, const char *fields, ...)
{
    va_list args;

    (void)level;
    world.not_written += strcmp(event, "checkpoints not written") == 0;
    world.left_alone += strncmp(event, "checkpoints left alone", 22) == 0;
    world.again += strcmp(event, "checkpoints are written again") == 0;
    va_start(args, fields);
    vsnprintf(world.line, sizeof(world.line), fields, args);
    va_end(args);
}

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    int64_t ms = 1000000 + world.passed_ms; /* time stands still but for that */

    (void)id;
    *ret = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return 0;
}

static const struct mongo_target target = {.database = (char *)"db"};
static struct checkpoint_writer *writer;
static struct checkpoint_shown shown[3];

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    writer = checkpoint_writer_new(&target, "mark");
    for (int i = 0; i < 3; i++)
        shown[i] = (struct checkpoint_shown){.name = (const char *[]){"a", "b", "c"}[i]};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    checkpoint_writer_free(writer);
    return 0;
}

/* How many collections were written in it. */
static int one_round(void)
{
    int before = world.puts;

    if (!checkpoint_writer_round_begins(writer))
        return 0;
    for (int i = 0; i < 3 && !checkpoint_writer_round_is_over(writer); i++)
        checkpoint_writer_show(writer, &shown[i], NULL, 0);
    checkpoint_writer_round_ends(writer);
    return world.puts - before;
}

static void
what_is_shown_is_compared_every_half_minute_and_at_once_when_it_changes(void **state)
{
    (void)state;
    assert_int_equal(one_round(), 3);
    assert_int_equal(one_round(), 0);
    shown[1].compare_ms = 0;
    assert_int_equal(one_round(), 1);
    world.passed_ms = 30000;
    assert_int_equal(one_round(), 3);
}

static void refusals_of_a_round_are_one_line_and_are_tried_again_later_each_time(void **state)
{
    int64_t longest = 0;

    (void)state;
    world.outcome = CHECKPOINT_FAILED;
    world.answered = true;
    for (int tries = 1; tries <= 12; tries++) {
        int64_t began = world.passed_ms;

        while (one_round() == 0)
            world.passed_ms += 5000;
        longest = MAX(longest, world.passed_ms - began);
        assert_int_equal(world.puts, 3 * tries);
        assert_int_equal(world.not_written, tries);
    }
    assert_non_null(strstr(world.line, "collections=3"));
    assert_non_null(strstr(world.line, "not authorized"));
    assert_true(longest > 20000);
    assert_true(longest <= 10 * 60 * 1000 + 5000);
    world.outcome = CHECKPOINT_HELD;
    world.passed_ms += 10 * 60 * 1000;
    assert_int_equal(one_round(), 3);
    assert_int_equal(world.again, 1);
}

static void a_server_that_does_not_answer_is_asked_once_in_a_round(void **state)
{
    (void)state;
    world.outcome = CHECKPOINT_FAILED;
    assert_int_equal(one_round(), 1);
    world.passed_ms = 10000;
    assert_int_equal(one_round(), 1);
}

static void one_collection_that_fails_holds_up_no_other(void **state)
{
    (void)state;
    world.outcome = CHECKPOINT_FAILED;
    world.answered = true;
    assert_true(checkpoint_writer_round_begins(writer));
    checkpoint_writer_show(writer, &shown[0], NULL, 0);
    world.outcome = CHECKPOINT_HELD;
    checkpoint_writer_show(writer, &shown[1], NULL, 0);
    checkpoint_writer_round_ends(writer);
    assert_int_equal(shown[0].outcome, CHECKPOINT_FAILED);
    assert_int_equal(shown[1].outcome, CHECKPOINT_HELD);
}

static void anothers_collections_are_told_once(void **state)
{
    (void)state;
    world.outcome = CHECKPOINT_FOREIGN;
    assert_int_equal(one_round(), 3);
    assert_int_equal(world.left_alone, 1);
    assert_non_null(strstr(world.line, "collections=3"));
    world.passed_ms = 30000;
    assert_int_equal(one_round(), 3);
    assert_int_equal(world.left_alone, 1);
    checkpoint_writer_forget(writer, &shown[0]);
    assert_int_equal(one_round(), 1);
    assert_int_equal(world.left_alone, 1);
}

static void cleaning_comes_every_half_minute_or_when_it_is_to_come_soon(void **state)
{
    (void)state;
    checkpoint_writer_clean(writer, false, NULL, NULL);
    checkpoint_writer_clean(writer, false, NULL, NULL);
    assert_int_equal(world.cleans, 1);
    checkpoint_writer_clean(writer, true, NULL, NULL);
    assert_int_equal(world.cleans, 2);
    world.passed_ms = 30000;
    checkpoint_writer_clean(writer, false, NULL, NULL);
    assert_int_equal(world.cleans, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_shown_is_compared_every_half_minute_and_at_once_when_it_changes),
        TEST(refusals_of_a_round_are_one_line_and_are_tried_again_later_each_time),
        TEST(a_server_that_does_not_answer_is_asked_once_in_a_round),
        TEST(one_collection_that_fails_holds_up_no_other),
        TEST(anothers_collections_are_told_once),
        TEST(cleaning_comes_every_half_minute_or_when_it_is_to_come_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

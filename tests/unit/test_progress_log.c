/* tests/unit/test_progress_log.c - what of long work stands in the log, by a clock of the
 * test's own (the linker puts clock_gettime below before the other). */
#include "common/run/progress.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/run/log.h"

static time_t seconds; /* since the test began */
static char path[64];

int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    (void)id;
    *ret = (struct timespec){.tv_sec = 1000000 + seconds};
    return 0;
}

static int open_log(void **state)
{
    struct error err;
    int fd;

    (void)state;
    strcpy(path, "/tmp/dynaferry-progress-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return log_open(path, LOG_LEVEL_INFO, false, "test", &err);
}

static int remove_log(void **state)
{
    (void)state;
    log_close();
    return unlink(path);
}

/* Each line without its time, level and program. */
static void the_log_is(const char *expected)
{
    AUTO(buf_release) struct buf text = {.ceiling = 1 << 20};
    char line[4096];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        const char *event = strstr(line, "event=");

        assert_non_null(event);
        buf_printf(&text, "%s", event);
    }
    fclose(file);
    assert_string_equal(buf_cstr(&text), expected);
}

static void looks(struct progress *progress, const struct progress_work *work, int count)
{
    for (int i = 0; i < count; i++, seconds++) {
        if (!progress_is_due(progress))
            fail_msg("no look at second %lld", (long long)seconds);
        progress_begin_look(progress);
        progress_note(progress, work);
        progress_end_look(progress);
        assert_false(progress_is_due(progress));
    }
}

static void a_table_has_a_line_each_minute_while_its_work_goes_on(void **state)
{
    struct progress *progress = progress_new(false);
    struct progress_work work = {"orders", "rows", "copied", 0, 6000, PROGRESS_RUNS};

    (void)state;
    looks(progress, &work, 60);
    the_log_is("");
    work.done = 600;
    work.left = 5400;
    looks(progress, &work, 60);
    work.left = PROGRESS_NOT_KNOWN;
    looks(progress, &work, 60);
    work.state = PROGRESS_OVER;
    looks(progress, &work, 200);
    the_log_is("event=progress table=orders what=\"rows copied\" done=600 per_s=10 left=5400 "
               "percent=10 left_s=541\n"
               "event=progress table=orders what=\"rows copied\" done=600 per_s=0\n");
    progress_free(progress);
}

static void endless_work_is_told_of_by_what_is_left(void **state)
{
    struct progress *progress = progress_new(true);
    struct progress_work work = {"orders", "records", "applied", 0, 6000, PROGRESS_RUNS};

    (void)state;
    looks(progress, &work, 60);
    work.done = 120;
    looks(progress, &work, 60);
    looks(progress, &work, 1);
    work.left = 0;
    looks(progress, &work, 200);
    the_log_is(
        "event=progress table=orders what=\"records applied\" done=120 per_s=2 left=6000 "
        "left_s=3001\n"
        "event=progress table=orders what=\"records applied\" done=120 per_s=0 left=6000\n");
    progress_free(progress);
}

static void many_tables_have_a_line_for_all(void **state)
{
    struct progress *progress = progress_new(false);
    char name[16];

    (void)state;
    for (int i = 0; i <= 60; i++, seconds++) {
        progress_begin_look(progress);
        for (int64_t table = 0; table < 30; table++) {
            struct progress_work work = {name, "rows", "copied", i, table, PROGRESS_RUNS};

            snprintf(name, sizeof(name), "t%" PRId64, table);
            if (table < 9)
                work.state = PROGRESS_OVER;
            progress_note(progress, &work);
        }
        progress_end_look(progress);
    }
    {
        AUTO(buf_release) struct buf expected = {.ceiling = 1 << 20};

        for (int table = 29; table > 9; table--)
            buf_printf(&expected,
                       "event=progress table=t%d what=\"rows copied\" done=60 per_s=1 left=%d "
                       "percent=%d left_s=%d\n",
                       table, table, 6000 / (60 + table), table + 1);
        buf_printf(&expected, "event=\"progress of all tables\" tables=30 at_work=21 over=9 "
                              "done=1800 per_s=30\n");
        the_log_is(buf_cstr(&expected));
    }
    progress_free(progress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_has_a_line_each_minute_while_its_work_goes_on,
                                        open_log, remove_log),
        cmocka_unit_test_setup_teardown(endless_work_is_told_of_by_what_is_left, open_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(many_tables_have_a_line_for_all, open_log, remove_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_program.c - what a program ends with, by how its run ended. */
#include "common/run/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "common/run/health.h"
#include "common/run/stop.h"

static struct { /* what run is to do */
    int result;
    enum error_kind kind;
    int code;
    bool stop;
} wanted;

static int run(const struct config *c, const struct config_extra *extras, struct error *err)
{
    (void)c;
    (void)extras;
    if (wanted.stop)
        stop_request();
    if (wanted.result < 0) {
        error_set(err, wanted.kind, "wanted");
        err->code = wanted.code;
    }
    return wanted.result;
}

static int ended(int fatal_code, const char *argument)
{
    const struct program p = {
        .which = CONFIG_PRODUCER, .name = "test", .fatal_code = fatal_code, .run = run};
    AUTO(free_charp) char *name = xstrdup("test");
    AUTO(free_charp) char *word = xstrdup(argument);
    char *argv[] = {name, word, NULL};
    int code = program_main(&p, 2, argv);

    stop_reset();
    return code;
}

static void the_end_of_run_becomes_an_exit_code(void **state)
{
    static const struct {
        int result;
        enum error_kind kind;
        int code;
        bool stop;
        int usual;      /* the exit code without a fatal_code */
        int could_tell; /* and with 2 */
    } cases[] = {
        {0, ERR_NONE, 0, false, 0, 0},      {0, ERR_NONE, 0, true, 0, 0},
        {-1, ERR_FATAL, 0, false, 1, 2},    {-1, ERR_FATAL, 1, false, 1, 2},
        {-1, ERR_FATAL, 64, false, 64, 64}, {-1, ERR_FATAL, 78, false, 78, 78},
        {-1, ERR_FATAL, 69, false, 69, 2},  {-1, ERR_FATAL, 77, false, 77, 2},
        {-1, ERR_RETRY, 0, false, 1, 2},    {-1, ERR_RETRY, 0, true, 0, 2},
        {-1, ERR_FATAL, 0, true, 1, 2},     {1, ERR_NONE, 0, false, 1, 1},
        {2, ERR_NONE, 0, true, 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        wanted.result = cases[i].result;
        wanted.kind = cases[i].kind;
        wanted.code = cases[i].code;
        wanted.stop = cases[i].stop;
        assert_int_equal(ended(0, "--set=log.level=error"), cases[i].usual);
        assert_int_equal(ended(2, "--set=log.level=error"), cases[i].could_tell);
    }
}

static void a_wrong_start_keeps_its_code(void **state)
{
    (void)state;
    wanted.result = 0;
    assert_int_equal(ended(2, "--no-such"), 64);
    assert_int_equal(ended(2, "--conf=/nonexistent/x"), 78);
    assert_int_equal(ended(2, "--set=log.file=/nonexistent/x"), 78);
}

static void whose_work_is_over_is_not_ready(void **state)
{
    (void)state;
    health_ready(true);
    program_ends(0);
    assert_false(health_is_ready());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_run_becomes_an_exit_code),
        cmocka_unit_test(a_wrong_start_keeps_its_code),
        cmocka_unit_test(whose_work_is_over_is_not_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

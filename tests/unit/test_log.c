/* tests/unit/test_log.c - a line is one event, whole, with every value readable again. */
#include "common/run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/auto.h"

enum {
    THREADS = 4,
    LINES = 500,
};

static char path[64];

static void open_log(enum log_level level, bool json)
{
    struct error err = {0};

    if (log_open(path, level, json, "dynaferry-test", &err) < 0)
        fail_msg("%s", err.message);
}

/* What was written since open_log; the log is closed. */
static char *written(void)
{
    char *text = xcalloc(1, 8 << 20);
    FILE *f;

    log_close();
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, (8 << 20) - 1, f) < (8 << 20) - 1);
    fclose(f);
    return text;
}

static int make_path(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/dynaferry-log-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    log_close();
    return unlink(path);
}

static void a_text_line_has_time_level_program_event_and_fields(void **state)
{
    AUTO(free_charp) char *text = NULL;
    int n = 0;

    (void)state;
    open_log(LOG_LEVEL_INFO, false);
    log_info("snapshot ended", "table=%s rows=%" PRId64 " share=%.1f", "t.1", INT64_C(-5), 0.5);
    log_warn("alone", NULL);
    text = written();
    sscanf(text, "time=%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ %n", &n);
    assert_int_equal(n, 30);
    text[n + 84] = '\0';
    assert_string_equal(text + n, "level=info program=dynaferry-test event=\"snapshot ended\" "
                                  "table=t.1 rows=-5 share=0.5");
    assert_non_null(strstr(text + n + 85, "level=warn program=dynaferry-test event=alone\n"));
}

static json_t *only_line(const char *text)
{
    json_error_t error;
    json_t *line = json_loads(text, 0, &error);

    if (!line)
        fail_msg("%s in %s", error.text, text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    return line;
}

static const char *field(json_t *line, const char *name)
{
    const char *value = json_string_value(json_object_get(line, name));

    assert_non_null(value);
    return value;
}

static void a_json_line_keeps_numbers_and_strings_apart(void **state)
{
    AUTO(free_charp) char *text = NULL;
    json_t *line;

    (void)state;
    open_log(LOG_LEVEL_INFO, true);
    log_error("e", "table=%s rows=%zu ratio=%.2f nan=%f at=%s/%d", "123", (size_t)7, 0.25,
              (double)__builtin_nan(""), "t", 3);
    text = written();
    line = only_line(text);
    assert_string_equal(field(line, "level"), "error");
    assert_string_equal(field(line, "table"), "123");
    assert_int_equal(json_integer_value(json_object_get(line, "rows")), 7);
    assert_true(json_is_real(json_object_get(line, "ratio")));
    assert_string_equal(field(line, "nan"), "nan");
    assert_string_equal(field(line, "at"), "t/3");
    json_decref(line);
}

static void a_value_can_not_pass_for_another_field_or_line(void **state)
{
    static const char value[] = "a b=c rows=9\n\"x\\y\"\ttab \x01\x7f";
    AUTO(free_charp) char *json = NULL;
    AUTO(free_charp) char *text = NULL;
    json_t *line;

    (void)state;
    open_log(LOG_LEVEL_INFO, true);
    log_info("e", "why=%s rows=%d empty=%s", value, 1, "");
    json = written();
    line = only_line(json);
    assert_string_equal(field(line, "why"), value);
    assert_string_equal(field(line, "empty"), "");
    assert_int_equal(json_integer_value(json_object_get(line, "rows")), 1);
    assert_int_equal(json_object_size(line), 7);
    json_decref(line);
    assert_int_equal(truncate(path, 0), 0);
    open_log(LOG_LEVEL_INFO, false);
    log_info("e", "why=%s rows=%d empty=%s", value, 1, "");
    text = written();
    assert_non_null(strstr(text,
                           " why=\"a b=c rows=9\\n\\\"x\\\\y\\\"\\u0009tab \\u0001\\u007f\" "
                           "rows=1 empty=\"\"\n"));
}

static void what_is_not_utf8_is_replaced(void **state)
{
    static const struct {
        const char *value;
        const char *shown;
    } cases[] = {
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff", "\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc2\x9b", "\xef\xbf\xbd\xef\xbf\xbd"}, /* a terminal would take it for an escape */
        {"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *text = NULL;
        json_t *line;

        assert_int_equal(truncate(path, 0), 0);
        open_log(LOG_LEVEL_INFO, true);
        log_info("e", "v=%s", cases[i].value);
        text = written();
        line = only_line(text);
        assert_string_equal(field(line, "v"), cases[i].shown);
        json_decref(line);
    }
}

static void a_long_line_is_cut_and_stays_well_formed(void **state)
{
    (void)state;
    for (size_t n = 3700; n < 4200; n++) {
        AUTO(free_charp) char *value = xcalloc(1, n + 4);
        AUTO(free_charp) char *text = NULL;
        json_t *line;

        memset(value, 'x', n);
        strcat(value, "\n\xc3\xa4");
        assert_int_equal(truncate(path, 0), 0);
        open_log(LOG_LEVEL_INFO, true);
        log_info("e", "v=%s after=%d", value, 5);
        text = written();
        assert_true(strlen(text) <= 4000);
        line = only_line(text);
        if (!json_is_true(json_object_get(line, "cut")))
            assert_string_equal(field(line, "v"), value);
        assert_true(n < 4000 || json_is_true(json_object_get(line, "cut")));
        json_decref(line);
    }
}

static void lower_levels_are_left_out(void **state)
{
    AUTO(free_charp) char *text = NULL;

    (void)state;
    open_log(LOG_LEVEL_WARN, false);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_WARN));
    log_info("no", NULL);
    log_debug("no", "a=%d", 1);
    log_warn("yes", NULL);
    text = written();
    assert_null(strstr(text, "event=no"));
    assert_non_null(strstr(text, "event=yes"));
    assert_int_equal(log_level_of("debug"), LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_of("error"), LOG_LEVEL_ERROR);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("many", "who=%d i=%d pad=%0200d", *(int *)arg, i, 0);
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    AUTO(free_charp) char *text = NULL;
    pthread_t threads[THREADS];
    int who[THREADS], lines = 0, next[THREADS] = {0};

    (void)state;
    open_log(LOG_LEVEL_INFO, false);
    for (int i = 0; i < THREADS; i++) {
        who[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &who[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    text = written();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        char *at = strstr(line, "event=many who=");
        int w = -1, i = -1;

        assert_non_null(at);
        assert_int_equal(sscanf(at, "event=many who=%d i=%d pad=", &w, &i), 2);
        assert_int_equal(i, next[w]++);
        assert_int_equal(strlen(strstr(line, "pad=")), 204);
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void a_file_is_appended_to_and_a_bad_one_is_an_error(void **state)
{
    AUTO(free_charp) char *text = NULL;
    struct error err = {0};

    (void)state;
    open_log(LOG_LEVEL_INFO, false);
    log_info("one", NULL);
    open_log(LOG_LEVEL_INFO, false);
    log_info("two", NULL);
    assert_int_equal(log_open("/nonexistent/x", LOG_LEVEL_INFO, false, "p", &err), -1);
    assert_int_equal(err.code, 78);
    assert_string_equal(err.message, "log.file /nonexistent/x: No such file or directory");
    errno = EAGAIN;
    log_info("three", NULL); /* the log that was open stays; errno too */
    assert_int_equal(errno, EAGAIN);
    text = written();
    assert_non_null(strstr(text, "event=one"));
    assert_non_null(strstr(text, "event=two"));
    assert_non_null(strstr(text, "event=three"));
}

static void lines_that_could_not_be_written_are_counted(void **state)
{
    AUTO(free_charp) char *text = NULL;
    struct error err = {0};
    int full, saved = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_APPEND);

    (void)state;
    full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0 && fd >= 0);
    dup2(full, STDERR_FILENO);
    assert_int_equal(log_open("", LOG_LEVEL_INFO, false, "p", &err), 0);
    log_info("lost", NULL);
    log_info("lost", NULL);
    dup2(fd, STDERR_FILENO);
    log_info("found", NULL);
    log_info("after", NULL);
    dup2(saved, STDERR_FILENO);
    close(saved), close(full), close(fd);
    text = written();
    assert_null(strstr(text, "event=lost"));
    assert_non_null(strstr(text, "lost_lines=2 event=found\n"));
    assert_null(strstr(strstr(text, "event=found"), "lost_lines"));
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, make_path, remove_path)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_text_line_has_time_level_program_event_and_fields),
        LOG_TEST(a_json_line_keeps_numbers_and_strings_apart),
        LOG_TEST(a_value_can_not_pass_for_another_field_or_line),
        LOG_TEST(what_is_not_utf8_is_replaced),
        LOG_TEST(a_long_line_is_cut_and_stays_well_formed),
        LOG_TEST(lower_levels_are_left_out),
        LOG_TEST(lines_of_many_threads_stay_whole),
        LOG_TEST(a_file_is_appended_to_and_a_bad_one_is_an_error),
        LOG_TEST(lines_that_could_not_be_written_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

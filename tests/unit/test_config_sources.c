/* tests/unit/test_config_sources.c - where values come from, which one holds, and what is
 * printed, without secrets. */
#include "common/config/config_load.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/base/exit_code.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/config/config_file.h"
#include "common/config/config_options.h"
#include "common/config/config_print.h"
#include "tests/unit/support_config.h"

static void set_beats_environment_beats_file_beats_default(void **state)
{
    static const char *const set[] = {"--set", "topic.partitions=4", "--set=topic.prefix=s",
                                      NULL};
    static const char file[] = "topic.partitions = 2\nledger.partitions = 2\nthreads = 2\n";
    AUTO(config_freep) struct config *c = NULL;

    (void)state;
    setenv("DYNAFERRY_TOPIC_PARTITIONS", "3", 1);
    setenv("DYNAFERRY_LEDGER_PARTITIONS", "3", 1);
    c = config_loaded(file, set);
    assert_int_equal(config_int(c, "topic.partitions"), 4);
    assert_int_equal(config_int(c, "ledger.partitions"), 3);
    assert_int_equal(config_int(c, "threads"), 2);
    assert_int_equal(config_int(c, "target.writers"), 4);
    assert_string_equal(config_string(c, "topic.prefix"), "s");
    assert_true(config_is_set(c, "threads"));
    unsetenv("DYNAFERRY_TOPIC_PARTITIONS");
    unsetenv("DYNAFERRY_LEDGER_PARTITIONS");
}

/* Its keys hold where nothing else is said; what it says twice is still refused. */
static void a_file_of_nimoshake_is_below_all_others(void **state)
{
    static const char text[] = "id = nimo\nqps.full = 1000\nqps.incr = 900\nlog.buffer = true\n"
                               "kafka.linger.ms = 3\n";
    char path[] = "/tmp/dynaferry-nimo-XXXXXX";
    const char *const args[] = {"--nimoshake-conf", path, "--set=qps.incr=5", NULL};
    AUTO(config_freep) struct config *c = NULL;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    c = config_loaded("qps.full = 7\nkafka.linger.ms = 4\n", args);
    assert_string_equal(config_string(c, "id"), "nimo");
    assert_int_equal(config_int(c, "qps.full"), 7);
    assert_int_equal(config_int(c, "qps.incr"), 5);
    assert_int_equal(c->notice_count, 1);
    assert_int_equal(write(fd, "id = twice\n", 11), 11);
    close(fd);
    config_refused(CONFIG_PRODUCER, "", args, EXIT_CONFIGURATION, ":6: id stands in line 1");
    unlink(path);
}

/* To NimoShake an empty name is its default; in a file of our own it says that there is none.
 */
static void a_checkpoint_db_left_empty_is_off_but_in_a_file_of_nimoshake(void **state)
{
    char path[] = "/tmp/dynaferry-nimo-XXXXXX";
    const char *const args[] = {"--nimoshake-conf", path, NULL};
    AUTO(config_freep) struct config *both = NULL;
    AUTO(config_freep) struct config *theirs = NULL;
    AUTO(config_freep) struct config *neither = config_loaded("id = nimo\n", NULL);
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "id = nimo\ncheckpoint.db =\n", 26), 26);
    close(fd);
    theirs = config_loaded("", args);
    both = config_loaded("checkpoint.db =\n", args);
    unlink(path);
    assert_string_equal(config_string(neither, "checkpoint.db"), "nimo-checkpoint");
    assert_string_equal(config_string(theirs, "checkpoint.db"), "nimo-checkpoint");
    assert_string_equal(config_string(both, "checkpoint.db"), "");
}

static char *printed(void (*print)(FILE *, const struct config *), const struct config *c)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    print(out, c);
    fclose(out);
    return text;
}

static void print_config_shows_no_secret_and_reads_back_the_same(void **state)
{
    static const char file[] =
        "source.secret_access_key = " SECRET "\nsource.session_token = " SECRET
        "\nkafka.sasl.password = " SECRET "\nkafka.ssl.key.password = " SECRET
        "\nkafka.sasl.oauthbearer.config = " SECRET "\nkafka.linger.ms = 7\ntopic.prefix = p"
        "\ntarget.address = mongodb://u:" SECRET "@h1,h2/?tlsCertificateKeyFilePassword=" SECRET
        "\nconvert.type = mchange\n";
    AUTO(config_freep) struct config *c = config_loaded(file, NULL);
    AUTO(free_charp) char *text = printed(config_print_values, c);
    AUTO(config_freep) struct config *again = config_loaded(text, NULL);

    (void)state;
    assert_null(strstr(text, SECRET));
    assert_non_null(strstr(text, "\n# target.address = mongodb://***@h1,h2/?"
                                 "tlsCertificateKeyFilePassword=***\n"));
    assert_non_null(strstr(text, "\nkafka.linger.ms = 7\n"));
    assert_non_null(strstr(text, ":7\ntopic.prefix = p\n")); /* with where it was set */
    assert_string_equal(config_string(again, "topic.prefix"), "p");
    assert_string_equal(config_string(again, "convert.number"), "double");
    assert_false(config_is_set(again, "instance.id"));
    assert_string_equal(config_string(again, "source.secret_access_key"), "");
}

static void a_secret_may_come_from_a_file_that_a_variable_names(void **state)
{
    char path[] = "/tmp/dynaferry-secret-XXXXXX";
    int fd = mkstemp(path);
    AUTO(config_freep) struct config *c = NULL;

    (void)state;
    assert_int_equal(write(fd, "line 1\nline 2\r\n", 15), 15);
    close(fd);
    setenv("DYNAFERRY_SOURCE_SESSION_TOKEN_FILE", path, 1);
    config_refused(CONFIG_PRODUCER, "", NULL, 78, "source.session_token: allowed is");
    unsetenv("DYNAFERRY_SOURCE_SESSION_TOKEN_FILE");
    setenv("DYNAFERRY_KAFKA_SASL_PASSWORD_FILE", path, 1);
    c = config_loaded("", NULL);
    assert_string_equal(c->kafka[0].name, "sasl.password");
    assert_string_equal(c->kafka[0].value, "line 1\nline 2");
    setenv("DYNAFERRY_KAFKA_SASL_PASSWORD", "direct", 1);
    config_freep(&c);
    c = config_loaded("", NULL);
    assert_int_equal(c->kafka_count, 1);
    assert_string_equal(c->kafka[0].value, "direct");
    unsetenv("DYNAFERRY_KAFKA_SASL_PASSWORD");
    assert_int_equal(truncate(path, 0), 0);
    config_refused(CONFIG_PRODUCER, "", NULL, 78, "the file is empty");
    unlink(path);
    config_refused(CONFIG_PRODUCER, "", NULL, 78, "No such file");
    unsetenv("DYNAFERRY_KAFKA_SASL_PASSWORD_FILE");
}

static void a_variable_of_ours_that_stands_for_no_key_is_an_error(void **state)
{
    AUTO(config_freep) struct config *c = NULL;

    (void)state;
    setenv("DYNAFERRY_TOPIC_PREFFIX", SECRET, 1);
    config_refused(CONFIG_PRODUCER, "", NULL, 78, "did you mean DYNAFERRY_TOPIC_PREFIX?");
    unsetenv("DYNAFERRY_TOPIC_PREFFIX");
    setenv("DYNAFERRY_TOPIC_PREFIX_FILE", "/etc/passwd", 1);
    config_refused(CONFIG_PRODUCER, "", NULL, 78,
                   "DYNAFERRY_TOPIC_PREFIX_FILE stands for no key");
    unsetenv("DYNAFERRY_TOPIC_PREFIX_FILE");
    setenv("DYNAFERRY_TEST_KAFKA", "x", 1);
    setenv("DYNAFERRY_SEEDS", "x", 1);
    setenv("DYNAFERRY_CONVERT__ID", "mine", 1);
    setenv("DYNAFERRY_LOG_BUFFER", "true", 1);
    c = config_loaded("", NULL);
    assert_string_equal(config_string(c, "convert._id"), "mine");
    assert_int_equal(c->notice_count, 1);
    unsetenv("DYNAFERRY_TEST_KAFKA");
    unsetenv("DYNAFERRY_SEEDS");
    unsetenv("DYNAFERRY_CONVERT__ID");
    unsetenv("DYNAFERRY_LOG_BUFFER");
}

static void the_command_line_is_judged(void **state)
{
    static const struct {
        const char *args[3];
        const char *words;
    } cases[] = {
        {{"--confg=x"}, "no such argument (did you mean --conf?): --confg"},
        {{"stray"}, "no such argument: stray"},
        {{"--set"}, "a value is missing: --set"},
        {{"--conf"}, "a value is missing: --conf"},
        {{"--set", "topic.partitions=0"}, "--set: topic.partitions = 0: allowed are 1 to 1000"},
        {{"--set", "=0"}, "--set key=value"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        config_refused(CONFIG_PRODUCER, "", cases[i].args, 64, cases[i].words);
}

static void a_missing_or_huge_file_is_an_error(void **state)
{
    char name[] = "program", missing[] = "--conf=/nonexistent/x", zero[] = "--conf=/dev/zero";
    char *argv[] = {name, missing, NULL};
    struct config *c = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 2, argv, NULL, &err), -1);
    assert_int_equal(err.code, 78);
    assert_string_equal(err.message, "/nonexistent/x: No such file or directory");
    argv[1] = zero;
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 2, argv, NULL, &err), -1);
    assert_string_equal(err.message, "/dev/zero: larger than 1048576 bytes");
}

static void extra_options_are_taken_out(void **state)
{
    char name[] = "program", idle[] = "--until-idle", five[] = "5", adopt[] = "--adopt",
         with[] = "--adopt=1", none[] = "--until-idle=7";
    char *good[] = {name, idle, five, adopt, NULL}, *other[] = {name, none, NULL};
    char *bad[] = {name, with, NULL};
    struct config_extra extras[] = {{.name = "until-idle", .help = "h"},
                                    {.name = "adopt", .form = CONFIG_FLAG, .help = "h"},
                                    {0}};
    AUTO(config_freep) struct config *c = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 4, good, extras, &err), 0);
    assert_string_equal(extras[0].value, "5");
    assert_string_equal(extras[1].value, "");
    config_freep(&c);
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 2, other, extras, &err), 0);
    assert_string_equal(extras[0].value, "7");
    assert_null(extras[1].value);
    config_freep(&c);
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 2, bad, extras, &err), -1);
    assert_int_equal(err.code, 64);
}

static void an_option_whose_value_may_be_left_out_takes_one_that_is_there(void **state)
{
    static const struct {
        const char *first, *second; /* NULL: there is none */
        const char *value;
    } cases[] = {
        {"--letters", NULL, ""},
        {"--letters", "orders", "orders"},
        {"--letters", "--wait", ""},
        {"--letters=--wait", NULL, "--wait"},
        {"--letters=orders", NULL, "orders"},
        {"--letters=", "--wait", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[] = "program";
        AUTO(free_charp) char *first = xstrdup(cases[i].first);
        AUTO(free_charp) char *second = xstrdup(cases[i].second ? cases[i].second : "");
        char *argv[] = {name, first, second, NULL};
        struct config_extra extras[] = {
            {.name = "letters", .form = CONFIG_MAY_TAKE_VALUE, .help = "h"},
            {.name = "wait", .form = CONFIG_FLAG, .help = "h"},
            {0}};
        AUTO(config_freep) struct config *c = NULL;
        struct error err = {0};

        assert_int_equal(
            config_load(&c, CONFIG_PRODUCER, cases[i].second ? 3 : 2, argv, extras, &err), 0);
        assert_string_equal(extras[0].value, cases[i].value);
    }
}

/* Runs config_load with its standard output in a file, and gives the text. */
static char *output_of(char *argument)
{
    char name[] = "program", *argv[] = {name, argument, NULL}, *text = xcalloc(1, 1 << 20);
    struct config_extra extras[] = {{.name = "until-idle", .help = "h"}, {0}};
    struct config *c = NULL;
    struct error err = {0};
    FILE *f = tmpfile();
    int saved = dup(1);

    fflush(stdout);
    dup2(fileno(f), 1);
    assert_int_equal(config_load(&c, CONFIG_PRODUCER, 2, argv, extras, &err), 0);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    assert_null(c);
    rewind(f);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static void help_version_and_print_config_end_well(void **state)
{
    char h[] = "--help", v[] = "--version", p[] = "--print-config";
    AUTO(free_charp) char *help = output_of(h);
    AUTO(free_charp) char *version = output_of(v);
    AUTO(free_charp) char *wanted = xasprintf("dynaferry-producer %s\n", version_text);
    AUTO(free_charp) char *values = output_of(p);

    (void)state;
    assert_non_null(strstr(help, "--until-idle VALUE"));
    assert_non_null(strstr(help, "\n  topic.partitions\n"));
    assert_null(strstr(help, "target.writers")); /* the consumer's */
    assert_string_equal(version, wanted);
    assert_non_null(strstr(values, "# topic.partitions = 12\n"));
}

static void the_committed_file_is_valid_with_every_default_uncommented(void **state)
{
    AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);
    AUTO(buf_release) struct buf text = {0};
    struct error err = {0};

    (void)state;
    if (text_slurp(&text, TESTS_DIR "/../conf/dynaferry.conf", 1 << 20, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i + 2 < text.len; i++)
        if (memcmp(text.p + i, "\n#", 2) == 0 && islower((unsigned char)text.p[i + 2]))
            text.p[i + 1] = ' ';
    if (config_file_read_text(c, "conf", buf_slice(&text), &err) < 0)
        fail_msg("%s", err.message);
    CONFIG_OPTIONS_EACH(o)
        assert_true(config_is_set(c, o->name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_beats_environment_beats_file_beats_default),
        cmocka_unit_test(a_file_of_nimoshake_is_below_all_others),
        cmocka_unit_test(a_checkpoint_db_left_empty_is_off_but_in_a_file_of_nimoshake),
        cmocka_unit_test(print_config_shows_no_secret_and_reads_back_the_same),
        cmocka_unit_test(a_secret_may_come_from_a_file_that_a_variable_names),
        cmocka_unit_test(a_variable_of_ours_that_stands_for_no_key_is_an_error),
        cmocka_unit_test(the_command_line_is_judged),
        cmocka_unit_test(a_missing_or_huge_file_is_an_error),
        cmocka_unit_test(extra_options_are_taken_out),
        cmocka_unit_test(an_option_whose_value_may_be_left_out_takes_one_that_is_there),
        cmocka_unit_test(help_version_and_print_config_end_well),
        cmocka_unit_test(the_committed_file_is_valid_with_every_default_uncommented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

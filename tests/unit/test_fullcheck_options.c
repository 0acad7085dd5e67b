/* tests/unit/test_fullcheck_options.c - the command line of dynaferry-fullcheck: every form of
 * a flag, what it sets, and what is said of a wrong one. */
#include "common/base/version.h"
#include "fullcheck/fullcheck_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config/config_load.h"
#include "common/config/config_option.h"
#include "tests/unit/support_config.h"

#define TARGET "-t=h:1"

static char *words[16]; /* of the last call: options point into it */

/* The words of line, at its spaces; '' is an empty one. */
static int split(const char *line)
{
    int argc = 0;

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        free(words[i]);
        words[i] = NULL;
    }
    words[argc++] = xstrdup("dynaferry-fullcheck");
    while (*line) {
        size_t n = strcspn(line, " ");

        words[argc++] = xstrndup(line, strncmp(line, "''", 2) == 0 ? 0 : n);
        line += n + (line[n] == ' ');
    }
    return argc;
}

static int load(const char *line, struct config **c, struct fullcheck_options *o,
                struct error *err)
{
    if (config_load(c, CONFIG_FULLCHECK, split(line), words, fullcheck_options_extras, err) < 0)
        return -1;
    return fullcheck_options_read(o, fullcheck_options_extras, err);
}

static struct config *loaded(const char *line, struct fullcheck_options *o)
{
    struct config *c = NULL;
    struct error err = {0};

    if (load(line, &c, o, &err) < 0)
        fail_msg("%s: %s", line, err.message);
    assert_non_null(c);
    return c;
}

static void a_flag_sets_its_key_in_every_form(void **state)
{
    static const struct {
        const char *line;
        const char *key;
        const char *value;
    } cases[] = {
        {"-i db", "id", "db"},
        {"-idb", "id", "db"},
        {"-i=db", "id", "db"},
        {"-i=a=b", "id", "a=b"},
        {"--id db", "id", "db"},
        {"--id=db", "id", "db"},
        {"-i -x", "id", "-x"},
        {"--id=--json", "id", "--json"},
        {"-l debug", "log.level", "debug"},
        {"--logLevel=warn", "log.level", "warn"},
        {"-s AKIA", "source.access_key_id", "AKIA"},
        {"--sourceAccessKeyID=AKIA", "source.access_key_id", "AKIA"},
        {"--sourceSecretAccessKey a/b+c==", "source.secret_access_key", "a/b+c=="},
        {"--sourceSessionToken=t", "source.session_token", "t"},
        {"--sourceRegion eu-west-1", "source.region", "eu-west-1"},
        {"--sourceEndpointUrl http://h:8000", "source.endpoint_url", "http://h:8000"},
        {"--qpsFull=1000", "qps.full", "1000"},
        {"--qpsFullBatchNum 128", "qps.full.batch_num", "128"},
        {"-t=10.1.1.1:30441", "target.address", "mongodb://10.1.1.1:30441"},
        {"-t u:p@h1,h2/?w=majority", "target.address", "mongodb://u:p@h1,h2/?w=majority"},
        {"-tmongodb://h", "target.address", "mongodb://h"},
        {"--targetAddress mongodb+srv://h", "target.address", "mongodb+srv://h"},
        {"--filterCollectionWhite=a;b", "filter.collection.white", "a;b"},
        {"--filterCollectionBlack a", "filter.collection.black", "a"},
        {"-c change", "convert.type", "change"},
        {"-craw", "convert.type", "raw"},
        {"--convertType=mchange", "convert.number", "double"},
        {"-i a --id b", "id", "b"},
        {"-i a --set id=b", "id", "b"},
        {"--set id=b -i a", "id", "a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *line = xasprintf(TARGET " %s", cases[i].line);
        struct fullcheck_options o;
        AUTO(config_freep) struct config *c = loaded(line, &o);

        if (strcmp(config_string(c, cases[i].key), cases[i].value) != 0)
            fail_msg("%s: %s", cases[i].line, config_string(c, cases[i].key));
        assert_true(config_is_set(c, cases[i].key));
    }
}

static void options_of_the_program_are_read_in_every_form(void **state)
{
    struct fullcheck_options o;
    AUTO(config_freep) struct config *a = loaded(TARGET, &o), *b = NULL, *c = NULL;
    uint64_t seed = o.seed;

    (void)state;
    assert_string_equal(o.diff_file, "dynamo-full-check-diff");
    assert_int_equal(o.threads, 16);
    assert_int_equal(o.sample, 0);
    assert_false(o.seed_given);
    assert_int_equal(o.settle_ms, 30000);
    assert_int_equal(o.outline, OUTLINE_GO);
    assert_true(o.reverse && !o.repair && !o.json);

    b = loaded("-d /tmp/a=b -p8 --sample=300 --seed=18446744073709551615 --settle 2.5 "
               "--outline=only --reverse=off --repair --json " TARGET,
               &o);
    assert_string_equal(o.diff_file, "/tmp/a=b");
    assert_int_equal(o.threads, 8);
    assert_int_equal(o.sample, 300);
    assert_true(o.seed_given && o.seed == UINT64_MAX);
    assert_int_equal(o.settle_ms, 2500);
    assert_int_equal(o.outline, OUTLINE_ONLY);
    assert_true(!o.reverse && o.repair && o.json);

    c = loaded("-p=256 -e 1000000 --settle 0 --outline stop --reverse " TARGET, &o);
    assert_int_equal(o.threads, 256);
    assert_int_equal(o.sample, 1000000);
    assert_true(o.seed != seed); /* of 2^64 */
    assert_int_equal(o.settle_ms, 0);
    assert_int_equal(o.outline, OUTLINE_STOP);
    assert_true(o.reverse && !o.repair && !o.json);
}

static void the_switch_knows_four_words(void **state)
{
    static const struct {
        const char *line;
        bool on;
    } cases[] = {
        {"--reverse", true},
        {"--reverse=on", true},
        {"--reverse=true", true},
        {"--reverse=off", false},
        {"--reverse=false", false},
        {"--reverse=off --reverse", true},
        {"--reverse --reverse=off", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *line = xasprintf(TARGET " %s", cases[i].line);
        struct fullcheck_options o;
        AUTO(config_freep) struct config *c = loaded(line, &o);

        assert_int_equal(o.reverse, cases[i].on);
    }
}

static void a_wrong_command_line_is_named_as_it_was_typed(void **state)
{
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"-p 0", "-p = 0: allowed are 1 to 256"},
        {"-p0", "-p = 0: allowed are 1 to 256"},
        {"--parallel=257", "--parallel = 257: allowed are 1 to 256"},
        {"--parallel=", "--parallel = : allowed are 1 to 256"},
        {"-parallel", "-p = arallel: allowed are 1 to 256"},
        {"-e -1", "-e = -1: allowed are 0 to 1000000"},
        {"--sample 1000001", "--sample = 1000001: allowed are 0 to 1000000"},
        {"--seed -1", "--seed = -1: allowed are 0 to 18446744073709551615"},
        {"--seed 18446744073709551616", "allowed are 0 to 18446744073709551615"},
        {"--seed=", "--seed = : allowed are 0 to 18446744073709551615"},
        {"--settle 86400.1", "--settle = 86400.1: allowed are 0 to 86400 seconds, with"},
        {"--settle nan", "--settle = nan: allowed are"},
        {"--settle 0x10", "--settle = 0x10: allowed are"},
        {"--settle 1e3", "--settle = 1e3: allowed are"},
        {"--settle -1", "--settle = -1: allowed are"},
        {"--settle .", "--settle = .: allowed are"},
        {"--settle=", "--settle = : allowed are"},
        {"--outline all", "--outline = all: allowed are go, stop, only"},
        {"--outline=", "--outline = : allowed are go, stop, only"},
        {"--outline=go|stop", "--outline = go|stop: allowed are go, stop, only"},
        {"--reverse=no", "--reverse = no: allowed are on, off, true, false"},
        {"--reverse=", "--reverse = : allowed are on, off, true, false"},
        {"--reverse off", "there is no such argument: off"},
        {"--repair=on", "no value is wanted: --repair"},
        {"-d ''", "-d = : allowed are paths of files"},
        {"-l loud", "-l: log.level = loud: allowed are debug, info, warn, error"},
        {"--logLevel loud", "--logLevel: log.level = loud: allowed are"},
        {"--logLevel loud -l info", "--logLevel: log.level = loud: allowed are"},
        {"-c nothing", "-c: convert.type = nothing: allowed are raw, change, mchange"},
        {"--qpsFull=x", "--qpsFull: qps.full = x: allowed are 0 to 1000000"},
        {"-i a/b", "-i: id = a/b: allowed is a MongoDB database name"},
        {"-t " SECRET "://", "-t: target.address: allowed is a connection string"},
        {"--filterCollectionWhite a,b", "--filterCollectionWhite: filter.collection.white"},
        {"-i", "a value is missing: -i"},
        {"--id", "a value is missing: --id"},
        {"--id --json", "a value is missing: --id"},
        {"--id -p 8", "a value is missing: --id"},
        {"-p --json", "a value is missing: -p"},
        {"--targetAdress u:" SECRET "@h", "no such argument (did you mean --targetAddress?)"},
        {"--targetaddress=u:" SECRET "@h", "(did you mean --targetAddress?): --targetaddress"},
        {"--paralel 3", "(did you mean --parallel?): --paralel"},
        {"--confg x", "(did you mean --conf?): --confg"},
        {"-x", "there is no such argument: -x"},
        {"--letters", "there is no such argument"},
        {"-vx", "there is no such argument: -vx"},
        {"mongodb://u:" SECRET "@h", "there is no such argument: mongodb://***@h"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *line = xasprintf(TARGET " %s", cases[i].line);
        AUTO(config_freep) struct config *c = NULL;
        struct fullcheck_options o = {.threads = -7};
        struct error err = {0};

        assert_int_equal(load(line, &c, &o, &err), -1);
        if (err.kind != ERR_FATAL || err.code != 64 || !strstr(err.message, cases[i].message))
            fail_msg("%s: %d \"%s\"", cases[i].line, err.code, err.message);
        assert_null(strstr(err.message, SECRET));
        assert_int_equal(o.threads, -7);
    }
}

static void a_flag_beats_environment_beats_file(void **state)
{
    char path[] = "/tmp/dynaferry-conf-XXXXXX";
    static const char text[] = "id = file\nqps.full = 1\nsource.region = file\n";
    int fd = mkstemp(path);
    AUTO(free_charp) char *line = xasprintf("-i flag --conf %s " TARGET, path);
    AUTO(config_freep) struct config *c = NULL;
    struct fullcheck_options o;

    (void)state;
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    setenv("DYNAFERRY_ID", "environment", 1);
    setenv("DYNAFERRY_QPS_FULL", "2", 1);
    c = loaded(line, &o);
    assert_string_equal(config_string(c, "id"), "flag");
    assert_int_equal(config_int(c, "qps.full"), 2);
    assert_string_equal(config_string(c, "source.region"), "file");
    unsetenv("DYNAFERRY_ID");
    unsetenv("DYNAFERRY_QPS_FULL");
    unlink(path);
}

static void secrets_are_gone_from_argv_and_hold_in_the_configuration(void **state)
{
    static const struct {
        const char *line;
        const char *key;
        const char *value;
        const char *left; /* of the second or last word */
    } cases[] = {
        {"-t=u:" SECRET "@h", "target.address", "mongodb://u:" SECRET "@h", "-t=*"},
        {"-tmongodb://u:" SECRET "@h", "target.address", "mongodb://u:" SECRET "@h", "-t*"},
        {"--targetAddress u:" SECRET "@h", "target.address", "mongodb://u:" SECRET "@h", "*"},
        {"--sourceSecretAccessKey=" SECRET " " TARGET, "source.secret_access_key", SECRET,
         "--sourceSecretAccessKey=*"},
        {"--set target.address=mongodb://u:" SECRET "@h", "target.address",
         "mongodb://u:" SECRET "@h", "target.address=*"},
        {"--set=source.session_token=" SECRET " " TARGET, "source.session_token", SECRET,
         "--set=source.session_token=*"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fullcheck_options o;
        AUTO(config_freep) struct config *c = loaded(cases[i].line, &o);
        bool found = false;

        assert_string_equal(config_string(c, cases[i].key), cases[i].value);
        for (char **w = words; *w; w++) {
            assert_null(strstr(*w, SECRET));
            found |= strncmp(*w, cases[i].left, strlen(cases[i].left)) == 0;
        }
        assert_true(found);
    }
}

/* What config_load prints for one argument. */
static char *printed(const char *argument)
{
    char *text = xcalloc(1, 1 << 16);
    struct config *c = NULL;
    struct error err = {0};
    FILE *f = tmpfile();
    int saved = dup(1);

    fflush(stdout);
    dup2(fileno(f), 1);
    assert_int_equal(config_load(&c, CONFIG_FULLCHECK, split(argument), words,
                                 fullcheck_options_extras, &err),
                     0);
    dup2(saved, 1);
    close(saved);
    assert_null(c);
    rewind(f);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

static void help_lists_every_flag_with_its_letter_text_and_default(void **state)
{
    static const char *const lines[] = {
        "Usage: dynaferry-fullcheck [OPTION ...] [--conf FILE]",
        "\n  -i, --id VALUE\n      Sets id. Name of this replication",
        "Default: dynamo-shake.\n",
        "\n  -t, --targetAddress VALUE\n      Sets target.address. Connection string.",
        "\n  --sourceSecretAccessKey VALUE\n      Sets source.secret_access_key.",
        "\n  --qpsFull N\n",
        "\n  -d, --diffOutputFile FILE\n      Where the differences go, a line of JSON each. "
        "Default: dynamo-full-check-diff.\n",
        "\n  -p, --parallel N\n      Threads that compare, 1 to 256. Default: 16.\n",
        "\n  --outline go|stop|only\n",
        "\n  --reverse[=on|off]\n      Look for documents that DynamoDB has not. Default: "
        "on.\n",
        "\n  --repair\n",
        "\n  --conf FILE\n",
        "\n  -h, --help\n  -v, --version\n",
    };
    AUTO(free_charp) char *help = printed("-h");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(help, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], help);
    for (const struct config_extra *x = fullcheck_options_extras; x->name; x++) {
        AUTO(free_charp) char *name = xasprintf("--%s", x->name);

        if (!strstr(help, name))
            fail_msg("%s is not in the help", name);
        assert_true(strlen(name) < sizeof(x->typed));
    }
}

static void the_version_has_a_letter(void **state)
{
    AUTO(free_charp) char *version = printed("-v");
    AUTO(free_charp) char *wanted = xasprintf("dynaferry-fullcheck %s\n", version_text);

    (void)state;
    assert_string_equal(version, wanted);
}

static void names_and_letters_stand_once_and_every_key_exists(void **state)
{
    (void)state;
    for (const struct config_extra *x = fullcheck_options_extras; x->name; x++) {
        assert_true(!x->key || config_option_find(x->key));
        assert_true(!x->key || x->form == CONFIG_TAKES_VALUE);
        assert_true(x->key || x->help);
        assert_true(x->letter != 'h' && x->letter != 'v');
        for (const struct config_extra *y = fullcheck_options_extras; y < x; y++) {
            assert_string_not_equal(x->name, y->name);
            assert_true(!x->letter || x->letter != y->letter);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_sets_its_key_in_every_form),
        cmocka_unit_test(options_of_the_program_are_read_in_every_form),
        cmocka_unit_test(the_switch_knows_four_words),
        cmocka_unit_test(a_wrong_command_line_is_named_as_it_was_typed),
        cmocka_unit_test(a_flag_beats_environment_beats_file),
        cmocka_unit_test(secrets_are_gone_from_argv_and_hold_in_the_configuration),
        cmocka_unit_test(help_lists_every_flag_with_its_letter_text_and_default),
        cmocka_unit_test(the_version_has_a_letter),
        cmocka_unit_test(names_and_letters_stand_once_and_every_key_exists),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    split("");
    free(words[0]);
    return failed;
}

/* tests/unit/test_config.c - what a configuration may say, where its values come from, and that
 * nobody sees a secret. */
#include "common/config_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "c0ffee-do-not-show"

/* text is the file's, args end with NULL. */
static int load(struct config **ret, enum config_program program, const char *text,
                const char *const *args, struct error *err)
{
    char path[] = "/tmp/dynaferry-conf-XXXXXX";
    char *argv[16] = {(char *)(uintptr_t) "program", (char *)(uintptr_t) "--conf", path};
    int argc = 3, fd = mkstemp(path), res;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    for (; args && *args; args++)
        argv[argc++] = (char *)(uintptr_t)*args;
    res = config_load(ret, program, argc, argv, NULL, err);
    unlink(path);
    return res;
}

static struct config *loaded(const char *text, const char *const *args)
{
    struct config *c = NULL;
    struct error err = {0};

    if (load(&c, CONFIG_PRODUCER, text, args, &err) < 0)
        fail_msg("%s", err.message);
    assert_non_null(c);
    return c;
}

/* The error must have this code and say each of the words. */
static void refused(enum config_program program, const char *text, const char *const *args,
                    int code, const char *words)
{
    struct config *c = NULL;
    struct error err = {0};

    assert_int_equal(load(&c, program, text, args, &err), -1);
    assert_null(c);
    assert_int_equal(err.kind, ERR_FATAL);
    if (err.code != code || !strstr(err.message, words))
        fail_msg("wanted %d \"%s\", got %d \"%s\"", code, words, err.code, err.message);
    if (strstr(err.message, SECRET))
        fail_msg("a secret is shown: %s", err.message);
}

static void defaults_are_those_of_the_table(void **state)
{
    AUTO(config_freep) struct config *c = loaded("", NULL);

    (void)state;
    assert_string_equal(config_string(c, "id"), "dynamo-shake");
    assert_int_equal(config_int(c, "commit.interval.ms"), 250);
    assert_int_equal(config_int(c, "topic.replication.factor"), -1);
    assert_true(config_bool(c, "stream.enable"));
    assert_false(config_bool(c, "event.before"));
    assert_string_equal(config_string(c, "log.file"), "");
    assert_false(config_is_set(c, "id"));
}

static void every_default_is_allowed_and_every_key_has_its_own_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);
        AUTO(free_charp) char *env = config_env_name(o->name);
        struct error err = {0};

        if (config_assign(c, (struct config_source){"test", 0}, o->name, o->fallback, &err) < 0)
            fail_msg("%s", err.message);
        assert_true(o->programs && o->help && *o->help);
        for (size_t j = 0; j < i; j++) {
            AUTO(free_charp) char *other = config_env_name(config_options[j].name);

            assert_string_not_equal(env, other);
        }
    }
}

static void set_beats_environment_beats_file_beats_default(void **state)
{
    static const char *const set[] = {"--set", "topic.partitions=4", "--set=topic.prefix=s",
                                      NULL};
    static const char file[] = "topic.partitions = 2\nledger.partitions = 2\nthreads = 2\n";
    AUTO(config_freep) struct config *c = NULL;

    (void)state;
    setenv("DYNAFERRY_TOPIC_PARTITIONS", "3", 1);
    setenv("DYNAFERRY_LEDGER_PARTITIONS", "3", 1);
    c = loaded(file, set);
    assert_int_equal(config_int(c, "topic.partitions"), 4);
    assert_int_equal(config_int(c, "ledger.partitions"), 3);
    assert_int_equal(config_int(c, "threads"), 2);
    assert_int_equal(config_int(c, "target.writers"), 4);
    assert_string_equal(config_string(c, "topic.prefix"), "s");
    assert_true(config_is_set(c, "threads"));
    unsetenv("DYNAFERRY_TOPIC_PARTITIONS");
    unsetenv("DYNAFERRY_LEDGER_PARTITIONS");
}

static void a_value_keeps_hashes_semicolons_and_equals_signs(void **state)
{
    AUTO(config_freep)
    struct config *c =
        loaded("\xef\xbb\xbf# a comment = x\r\n\r\n  target.address\t=  "
               "mongodb://u:a#b;c=d@h/?x=1  \r\nfilter.collection.white = a.b; c_d ;;e\n"
               "map.topic = a.b = t1; c = t2;\nlog.file = /var/log/a b.log",
               NULL);
    AUTO(free_charp) char *mapped = config_map_get(c, "map.topic", "a.b");

    (void)state;
    assert_string_equal(config_string(c, "target.address"), "mongodb://u:a#b;c=d@h/?x=1");
    assert_string_equal(config_string(c, "log.file"), "/var/log/a b.log");
    assert_true(config_list_has(c, "filter.collection.white", "a.b"));
    assert_true(config_list_has(c, "filter.collection.white", "c_d"));
    assert_true(config_list_has(c, "filter.collection.white", "e"));
    assert_false(config_list_has(c, "filter.collection.white", "c"));
    assert_false(config_list_has(c, "filter.collection.white", ""));
    assert_string_equal(mapped, "t1");
    assert_null(config_map_get(c, "map.topic", "t1"));
}

static void what_is_wrong_is_said_with_its_line_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"\n\ntopic.partitions = 0", ":3: topic.partitions = 0: allowed are 1 to 1000"},
        {"topic.partitions = 1001", "allowed are 1 to 1000"},
        {"topic.partitions = 12x", "topic.partitions = 12x: allowed are 1 to 1000"},
        {"topic.partitions =", "topic.partitions = : allowed are 1 to 1000"},
        {"topic.partitions = 99999999999999999999", "allowed are 1 to 1000"},
        {"topic.partitions = +5", "allowed are 1 to 1000"},
        {"topic.replication.factor = 0", "allowed are 1 to 1000, or -1"},
        {"topic.retention.ms = -2", "60000 and more, or -1"},
        {"commit.interval.ms = 5001", "allowed are 1 to 5000"},
        {"target.batch.bytes = 12582913", "allowed are 1024 to 12582912"},
        {"sync_mode = ful", "allowed are all, full, incr"},
        {"sync_mode = all|full", "allowed are all, full, incr"},
        {"target.mongodb.exist = keep", "allowed are drop, rename or empty"},
        {"on_gap = resnapshot", "allowed are fail"},
        {"event.before = yes", "allowed are true, false"},
        {"topic.prefix = a.b", "no dots"},
        {"topic.prefix =", "1 to 100 letters"},
        {"id = a/b", "a MongoDB database name"},
        {"http.listen = localhost", "an IPv4 or IPv6 address"},
        {"source.endpoint_url = localhost:8000", "http://HOST:PORT"},
        {"source.endpoint_url = http://u:p@localhost", "without a user or password"},
        {"filter.collection.white = a,b", "names of tables with ; between"},
        {"map.topic = a", "table=name pairs"},
        {"map.topic = a=b;c=b", "each table and name once"},
        {"map.topic = a=b;a=c", "each table and name once"},
        {"filter.collection.white = a\nfilter.collection.black = b", "at most one"},
        {"topic.partition = 3", ":1: there is no key topic.partition (did you mean "
                                "topic.partitions?)"},
        {"totally.different = 3", "there is no key totally.different"},
        {"threads = 1\nthreads = 1", ":2: threads stands in line 1 already"},
        {"[section]", ":1: there are no sections"},
        {"threads 8", ":1: a line is \"key = value\""},
        {"= 8", ":1: a line is \"key = value\""},
        {"two words = 8", ":1: a line is \"key = value\""},
        {"log.file = a\x01z", "log.file = a?z: allowed is text without control characters"},
        {"convert.type = mchange\nconvert.number = exact", "use convert.type = change"},
        {"sync_schema_only = true", "is a key of NimoShake: the schema alone can't"},
        {"full.read.filter_expression = a > :b", "items can't be filtered"},
        {"target.db.exist = drop", "use target.mongodb.exist"},
        {"target.type = aliyun_dynamo_proxy", "the target is always MongoDB"},
        {"checkpoint.type = file", "never in a file"},
        {"kafka.acks = 1", "kafka.acks can't be set: exactly once"},
        {"kafka.group.id = x", "use consumer.group"},
        {"kafka.no.such = 1", "kafka.no.such: librdkafka has no setting of this name"},
        {"kafka.linger.ms = -6", "outside allowed range"},
        {"kafka. = 1", "there is no key kafka."},
        {"checkpoint.db = abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd",
         "1 to 63 bytes"},
        {"id = abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc",
         "allowed are 63 bytes; set it, or a shorter id"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(CONFIG_PRODUCER, cases[i].text, NULL, 78, cases[i].words);
}

static void a_secret_is_in_no_error(void **state)
{
    static const char *const set_long[] = {"--set", "source.secret_acces_key=" SECRET, NULL};
    static const char *const set_bare[] = {"--set", SECRET, NULL};

    (void)state;
    refused(CONFIG_PRODUCER, "source.secret_acces_key = " SECRET, NULL, 78,
            "did you mean source.secret_access_key?");
    refused(CONFIG_PRODUCER, "source.secret_access_key = " SECRET "\x01", NULL, 78,
            "source.secret_access_key: allowed is");
    refused(CONFIG_PRODUCER, SECRET, NULL, 78, "a line is");
    refused(CONFIG_PRODUCER, "target.address = " SECRET, NULL, 78, "begins with mongodb://");
    refused(CONFIG_PRODUCER, "kafka.sasl.pasword = " SECRET, NULL, 78, "no setting of this");
    refused(CONFIG_PRODUCER, "kafka.ssl.key.pem = " SECRET "\nid = /", NULL, 78, "id = /");
    refused(CONFIG_PRODUCER, "", set_long, 64, "did you mean source.secret_access_key?");
    refused(CONFIG_PRODUCER, "", set_bare, 64, "--set key=value");
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
    AUTO(config_freep) struct config *c = loaded(file, NULL);
    AUTO(free_charp) char *text = printed(config_print_values, c);
    AUTO(config_freep) struct config *again = loaded(text, NULL);

    (void)state;
    assert_null(strstr(text, SECRET));
    assert_non_null(strstr(text, "\n# target.address = mongodb://u:***@h1,h2/?"
                                 "tlsCertificateKeyFilePassword=***\n"));
    assert_non_null(strstr(text, "\nkafka.linger.ms = 7\n"));
    assert_non_null(strstr(text, ":7\ntopic.prefix = p\n")); /* with where it was set */
    assert_string_equal(config_string(again, "topic.prefix"), "p");
    assert_string_equal(config_string(again, "convert.number"), "double");
    assert_false(config_is_set(again, "instance.id"));
    assert_string_equal(config_string(again, "source.secret_access_key"), "");
}

static void an_address_is_shown_without_its_password(void **state)
{
    static const struct {
        const char *address;
        const char *shown;
    } cases[] = {
        {"mongodb://h1:27017,h2/db?w=majority", "mongodb://h1:27017,h2/db?w=majority"},
        {"mongodb://user:pa:ss@h:1/", "mongodb://user:***@h:1/"},
        {"mongodb://user:p@ss@h/", "mongodb://user:***@h/"},
        {"mongodb://user:p/a?s@h/", "mongodb://user:***@h/"},
        {"mongodb+srv://u:p@h/?a=1&authMechanismProperties=AWS_SESSION_TOKEN:x&b=2",
         "mongodb+srv://u:***@h/?a=1&authMechanismProperties=***&b=2"},
        {"mongodb://h/?TLScertificatekeyfilePASSWORD=x;b=2",
         "mongodb://h/?TLScertificatekeyfilePASSWORD=***;b=2"},
        {"mongodb://h/?password&b", "mongodb://h/?password&b"},
        {"u:p@h", "u:***@h"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *shown = config_address_redacted(cases[i].address);

        assert_string_equal(shown, cases[i].shown);
    }
}

static void a_file_of_nimoshake_is_read_and_what_has_no_effect_is_named(void **state)
{
    static const char file[] =
        "id = nimo-shake\nlog.file =\nlog.level = info\nlog.buffer = true\n"
        "system_profile = 9330\nfull_sync.http_port = 9341\nincr_sync.http_port = 9340\n"
        "sync_mode = all\nincr_sync_parallel = false\nsource.access_key_id = k\n"
        "source.secret_access_key = s\nsource.session_token =\nsource.region = us-east-2\n"
        "source.session.max_retries = 3\nsource.session.timeout = 3000\n"
        "filter.collection.white = a;b\nfilter.collection.black =\nqps.full = 1000\n"
        "qps.full.batch_num = 128\nqps.incr = 1000\nqps.incr.batch_num = 128\n"
        "target.type = mongodb\ntarget.address = mongodb://u:p@10.1.1.1:3791,10.1.1.2:3792\n"
        "target.mongodb.type = sharding\ntarget.mongodb.exist = rename\n"
        "sync_schema_only = false\nfull.concurrency = 4\nfull.read.concurrency = 1\n"
        "full.document.concurrency = 4\nfull.document.parser = 2\n"
        "full.document.write.batch = 25\nfull.enable_index.user = true\n"
        "full.executor.insert_on_dup_update = true\nconvert.type = change\n"
        "increase.concurrency = 16\nincrease.executor.insert_on_dup_update = true\n"
        "increase.executor.upsert = true\ncheckpoint.type = mongodb\ncheckpoint.address =\n"
        "checkpoint.db =\nconvert._id = pre\nfull.read.filter_expression =\n"
        "full.read.filter_attributevalues =\n";
    AUTO(config_freep) struct config *c = loaded(file, NULL);

    (void)state;
    assert_string_equal(config_string(c, "checkpoint.db"), "nimo-shake-checkpoint");
    assert_string_equal(config_string(c, "target.id"), "key");
    assert_int_equal(config_int(c, "qps.full"), 1000);
    assert_int_equal(c->notice_count, 20);
    assert_non_null(strstr(c->notices[0], ":4: log.buffer is ignored: "));
}

static void defaults_follow_from_other_values(void **state)
{
    static const char *const before[] = {"--set", "event.before=true", NULL};
    static const char *const own[] = {
        "--set=event.before=true", "--set=topic.max.message.bytes=9000000",
        "--set=target.mongodb.type=sharding", "--set=target.id=objectid", NULL};
    AUTO(config_freep) struct config *c = loaded("", before);
    AUTO(config_freep) struct config *d = loaded("", own);

    (void)state;
    assert_int_equal(config_int(c, "topic.max.message.bytes"), 16777216);
    assert_int_equal(config_int(d, "topic.max.message.bytes"), 9000000);
    assert_string_equal(config_string(d, "target.id"), "objectid");
    assert_string_not_equal(config_string(c, "instance.id"), config_string(d, "instance.id"));
    assert_false(config_is_set(c, "instance.id"));
}

static void the_group_changes_with_the_hosts_and_not_with_the_password(void **state)
{
    AUTO(config_freep)
    struct config *a = loaded("target.address = mongodb://u:1@H1,h2/x?a=b", NULL);
    AUTO(config_freep) struct config *b = loaded("target.address = mongodb://v:2@h1,h2", NULL);
    AUTO(config_freep) struct config *c = loaded("target.address = mongodb://u:1@h3", NULL);

    (void)state;
    assert_string_equal(config_string(a, "consumer.group"), config_string(b, "consumer.group"));
    assert_string_not_equal(config_string(a, "consumer.group"),
                            config_string(c, "consumer.group"));
    assert_memory_equal(config_string(a, "consumer.group"), "dynaferry-dynamo-shake-", 23);
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
    refused(CONFIG_PRODUCER, "", NULL, 78, "source.session_token: allowed is");
    unsetenv("DYNAFERRY_SOURCE_SESSION_TOKEN_FILE");
    setenv("DYNAFERRY_KAFKA_SASL_PASSWORD_FILE", path, 1);
    c = loaded("", NULL);
    assert_string_equal(c->kafka[0].name, "sasl.password");
    assert_string_equal(c->kafka[0].value, "line 1\nline 2");
    setenv("DYNAFERRY_KAFKA_SASL_PASSWORD", "direct", 1);
    config_freep(&c);
    c = loaded("", NULL);
    assert_int_equal(c->kafka_count, 1);
    assert_string_equal(c->kafka[0].value, "direct");
    unsetenv("DYNAFERRY_KAFKA_SASL_PASSWORD");
    assert_int_equal(truncate(path, 0), 0);
    refused(CONFIG_PRODUCER, "", NULL, 78, "the file is empty");
    unlink(path);
    refused(CONFIG_PRODUCER, "", NULL, 78, "No such file");
    unsetenv("DYNAFERRY_KAFKA_SASL_PASSWORD_FILE");
}

static void a_variable_of_ours_that_stands_for_no_key_is_an_error(void **state)
{
    AUTO(config_freep) struct config *c = NULL;

    (void)state;
    setenv("DYNAFERRY_TOPIC_PREFFIX", SECRET, 1);
    refused(CONFIG_PRODUCER, "", NULL, 78, "did you mean DYNAFERRY_TOPIC_PREFIX?");
    unsetenv("DYNAFERRY_TOPIC_PREFFIX");
    setenv("DYNAFERRY_TOPIC_PREFIX_FILE", "/etc/passwd", 1);
    refused(CONFIG_PRODUCER, "", NULL, 78, "DYNAFERRY_TOPIC_PREFIX_FILE stands for no key");
    unsetenv("DYNAFERRY_TOPIC_PREFIX_FILE");
    setenv("DYNAFERRY_TEST_KAFKA", "x", 1);
    setenv("DYNAFERRY_SEEDS", "x", 1);
    setenv("DYNAFERRY_CONVERT__ID", "mine", 1);
    setenv("DYNAFERRY_LOG_BUFFER", "true", 1);
    c = loaded("", NULL);
    assert_string_equal(config_string(c, "convert._id"), "mine");
    assert_int_equal(c->notice_count, 1);
    unsetenv("DYNAFERRY_TEST_KAFKA");
    unsetenv("DYNAFERRY_SEEDS");
    unsetenv("DYNAFERRY_CONVERT__ID");
    unsetenv("DYNAFERRY_LOG_BUFFER");
}

static void collect(void *arg, const char *name, const char *value)
{
    buf_printf(arg, "%s=%s;", name, value);
}

static void kafka_settings_are_handed_on(void **state)
{
    static const char *const set[] = {"--set", "kafka.compression.codec=zstd", "--set",
                                      "kafka.linger.ms=9", NULL};
    AUTO(config_freep)
    struct config *c = loaded("kafka.bootstrap.servers = a:1,b:2\nkafka.linger.ms = 5", set);
    AUTO(buf_release) struct buf b;

    (void)state;
    buf_init(&b, 1000);
    config_each_kafka(c, collect, &b);
    assert_string_equal(buf_cstr(&b),
                        "bootstrap.servers=a:1,b:2;linger.ms=9;compression.codec=zstd;");
}

static void a_consumer_needs_a_target(void **state)
{
    (void)state;
    refused(CONFIG_CONSUMER, "", NULL, 78, "target.address is not set");
    refused(CONFIG_FULLCHECK, "", NULL, 78, "target.address is not set");
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
        refused(CONFIG_PRODUCER, "", cases[i].args, 64, cases[i].words);
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
    struct config_extra extras[] = {
        {.name = "until-idle", .help = "h"}, {.name = "adopt", .flag = true, .help = "h"}, {0}};
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
    AUTO(free_charp) char *values = output_of(p);

    (void)state;
    assert_non_null(strstr(help, "--until-idle VALUE"));
    assert_non_null(strstr(help, "\n  topic.partitions\n"));
    assert_null(strstr(help, "target.writers")); /* the consumer's */
    assert_string_equal(version, "dynaferry-producer " DYNAFERRY_VERSION "\n");
    assert_non_null(strstr(values, "# topic.partitions = 12\n"));
}

/* DYNAFERRY_TEST_WRITE=1 writes the files anew after the table was changed. */
static void same_as_committed(const char *path, void (*print)(FILE *))
{
    AUTO(free_charp) char *full = xasprintf("%s/../%s", TESTS_DIR, path);
    AUTO(free_charp) char *text = NULL;
    AUTO(free_charp) char *committed = xcalloc(1, 1 << 20);
    size_t n;
    FILE *out = open_memstream(&text, &n), *f;

    print(out);
    fclose(out);
    if (getenv("DYNAFERRY_TEST_WRITE")) {
        f = fopen(full, "w");
        assert_int_equal(fwrite(text, 1, n, f), n);
        fclose(f);
    }
    f = fopen(full, "r");
    assert_non_null(f);
    assert_true(fread(committed, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    assert_string_equal(committed, text);
}

static void the_committed_file_and_page_are_what_the_table_prints(void **state)
{
    (void)state;
    same_as_committed("conf/dynaferry.conf", config_print_file);
    same_as_committed("docs/configuration.md", config_print_markdown);
}

static void the_committed_file_is_valid_with_every_default_uncommented(void **state)
{
    AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);
    AUTO(free_charp) char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    struct error err = {0};

    (void)state;
    config_print_file(out);
    fclose(out);
    for (char *p = text; (p = strstr(p, "\n#")); p++)
        if (p[2] >= 'a' && p[2] <= 'z')
            p[1] = ' ';
    if (config_read_text(c, "conf", bytes_of(text), &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < config_option_count; i++)
        assert_true(config_is_set(c, config_options[i].name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(every_default_is_allowed_and_every_key_has_its_own_variable),
        cmocka_unit_test(set_beats_environment_beats_file_beats_default),
        cmocka_unit_test(a_value_keeps_hashes_semicolons_and_equals_signs),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line_and_what_is_allowed),
        cmocka_unit_test(a_secret_is_in_no_error),
        cmocka_unit_test(print_config_shows_no_secret_and_reads_back_the_same),
        cmocka_unit_test(an_address_is_shown_without_its_password),
        cmocka_unit_test(a_file_of_nimoshake_is_read_and_what_has_no_effect_is_named),
        cmocka_unit_test(defaults_follow_from_other_values),
        cmocka_unit_test(the_group_changes_with_the_hosts_and_not_with_the_password),
        cmocka_unit_test(a_secret_may_come_from_a_file_that_a_variable_names),
        cmocka_unit_test(a_variable_of_ours_that_stands_for_no_key_is_an_error),
        cmocka_unit_test(kafka_settings_are_handed_on),
        cmocka_unit_test(a_consumer_needs_a_target),
        cmocka_unit_test(the_command_line_is_judged),
        cmocka_unit_test(a_missing_or_huge_file_is_an_error),
        cmocka_unit_test(extra_options_are_taken_out),
        cmocka_unit_test(help_version_and_print_config_end_well),
        cmocka_unit_test(the_committed_file_and_page_are_what_the_table_prints),
        cmocka_unit_test(the_committed_file_is_valid_with_every_default_uncommented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

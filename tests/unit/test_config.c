/* tests/unit/test_config.c - what a configuration may say, and that no error shows a secret. */
#include "common/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/config/config_address.h"
#include "common/config/config_assign.h"
#include "common/config/config_env.h"
#include "common/config/config_options.h"
#include "tests/unit/support_config.h"

static void defaults_are_those_of_the_table(void **state)
{
    AUTO(config_freep) struct config *c = config_loaded("", NULL);

    (void)state;
    assert_string_equal(config_string(c, "id"), "dynamo-shake");
    assert_int_equal(config_int(c, "commit.interval.ms"), 0);
    assert_int_equal(config_int(c, "topic.replication.factor"), -1);
    assert_true(config_bool(c, "stream.enable"));
    assert_false(config_bool(c, "event.before"));
    assert_string_equal(config_string(c, "log.file"), "");
    assert_false(config_is_set(c, "id"));
}

static void every_default_is_allowed_and_every_key_has_its_own_variable(void **state)
{
    (void)state;
    CONFIG_OPTIONS_EACH(o) {
        AUTO(config_freep) struct config *c = config_new(CONFIG_PRODUCER);
        AUTO(free_charp) char *env = config_env_name(o->name);
        struct error err = {0};

        if (config_assign(c, (struct config_source){"test", 0}, o->name, o->fallback, &err) < 0)
            fail_msg("%s", err.message);
        assert_true(o->programs && o->help && *o->help);
        for (const struct config_option *before = config_options; before < o; before++) {
            AUTO(free_charp) char *other = config_env_name(before->name);

            assert_string_not_equal(env, other);
        }
    }
}

static void a_value_keeps_hashes_semicolons_and_equals_signs(void **state)
{
    AUTO(config_freep)
    struct config *c =
        config_loaded("\xef\xbb\xbf# a comment = x\r\n\r\n  target.address\t=  "
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
        {"commit.interval.ms = 5001", "allowed are 0 to 5000"},
        {"target.batch.bytes = 12582913", "allowed are 1024 to 12582912"},
        {"sync_mode = ful", "allowed are all, full, incr"},
        {"sync_mode = all|full", "allowed are all, full, incr"},
        {"target.mongodb.exist = keep", "allowed are drop, rename or empty"},
        {"on_gap = halt", "allowed are resnapshot, fail"},
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
        {"id = a\ncheckpoint.db = A", "checkpoint.db and id are both a"},
        {"id = abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc",
         "allowed are 63 bytes; set it, or a shorter id"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        config_refused(CONFIG_PRODUCER, cases[i].text, NULL, 78, cases[i].words);
}

static void a_secret_is_in_no_error(void **state)
{
    static const char *const set_long[] = {"--set", "source.secret_acces_key=" SECRET, NULL};
    static const char *const set_bare[] = {"--set", SECRET, NULL};

    (void)state;
    config_refused(CONFIG_PRODUCER, "source.secret_acces_key = " SECRET, NULL, 78,
                   "did you mean source.secret_access_key?");
    config_refused(CONFIG_PRODUCER, "source.secret_access_key = " SECRET "\x01", NULL, 78,
                   "source.secret_access_key: allowed is");
    config_refused(CONFIG_PRODUCER, SECRET, NULL, 78, "a line is");
    config_refused(CONFIG_PRODUCER, "target.address = " SECRET, NULL, 78,
                   "begins with mongodb://");
    config_refused(CONFIG_PRODUCER, "kafka.sasl.pasword = " SECRET, NULL, 78,
                   "no setting of this");
    config_refused(CONFIG_PRODUCER, "kafka.ssl.key.pem = " SECRET "\nid = /", NULL, 78,
                   "id = /");
    config_refused(CONFIG_PRODUCER, "", set_long, 64, "did you mean source.secret_access_key?");
    config_refused(CONFIG_PRODUCER, "", set_bare, 64, "--set key=value");
}

static void an_address_is_shown_without_its_password(void **state)
{
    static const struct {
        const char *address;
        const char *shown;
    } cases[] = {
        {"mongodb://h1:27017,h2/db?w=majority", "mongodb://h1:27017,h2/db?w=majority"},
        {"mongodb://user:pa:ss@h:1/", "mongodb://***@h:1/"},
        {"mongodb://user:p@ss@h/", "mongodb://***@h/"},
        {"mongodb://user:p/a?s@h/", "mongodb://***@h/"},
        {"mongodb://horse-battery@h/", "mongodb://***@h/"},
        {"mongodb+srv://u:p@h/?a=1&authMechanismProperties=AWS_SESSION_TOKEN:x&b=2",
         "mongodb+srv://***@h/?a=1&authMechanismProperties=***&b=2"},
        {"mongodb://h/?TLScertificatekeyfilePASSWORD=x;b=2",
         "mongodb://h/?TLScertificatekeyfilePASSWORD=***;b=2"},
        {"mongodb://h/?password&b", "mongodb://h/?password&b"},
        {"u:p@h", "***@h"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(free_charp) char *shown = config_address_redacted(cases[i].address);

        assert_string_equal(shown, cases[i].shown);
    }
}

/* Whatever is not encoded: it is told, and the word is not repeated. */
static void an_address_that_is_wrong_says_what_is_wrong(void **state)
{
    static const char *const passwords[] = {"p@ss",  "pa:ss",   "pa/ss",
                                            "pa?ss", "pa%zzss", "pass%4"};
    static const struct {
        const char *address;
        const char *problem; /* NULL: none */
    } cases[] = {
        {"mongodb://h", NULL},
        {"mongodb://u:p%40%3Ass@h:27017,[::1]:1,[fe80::1]/db?w=majority", NULL},
        {"mongodb+srv://u:p@cluster.example.net/?appName=x", NULL},
        {"mongodb://u@h/", NULL},
        {"mongodb://u:p@/db", "a host is empty"},
        {"mongodb://a,,b/", "a host is empty"},
        {"mongodb://:1/", "a host is empty"},
        {"mongodb://h:port/", "a port is no number"},
        {"mongodb://h:65536/", "a port is no number"},
        {"mongodb://h:/", "a port is no number"},
        {"mongodb+srv://h:27017/", "one host and no port"},
        {"mongodb+srv://a,b/", "one host and no port"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *problem = config_address_problem(cases[i].address);

        if (!cases[i].problem)
            assert_null(problem);
        else if (!problem || !strstr(problem, cases[i].problem))
            fail_msg("%s: %s", cases[i].address, problem ? problem : "(none)");
    }
    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        AUTO(free_charp)
        char *address = xasprintf("mongodb://ferry:%s@127.0.0.1:1/?x=1", passwords[i]);
        AUTO(free_charp) char *shown = config_address_redacted(address);
        AUTO(free_charp) char *hosts = config_address_hosts(address);

        assert_string_equal(shown, "mongodb://***@127.0.0.1:1/?x=1");
        assert_string_equal(hosts, "127.0.0.1:1");
        assert_non_null(strstr(config_address_problem(address), "percent-encoded"));
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
    AUTO(config_freep) struct config *c = config_loaded(file, NULL);

    (void)state;
    assert_string_equal(config_string(c, "checkpoint.db"), "");
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
    AUTO(config_freep) struct config *c = config_loaded("", before);
    AUTO(config_freep) struct config *d = config_loaded("", own);

    (void)state;
    assert_int_equal(config_int(c, "topic.max.message.bytes"), 16777216);
    assert_int_equal(config_int(d, "topic.max.message.bytes"), 9000000);
    assert_string_equal(config_string(d, "target.id"), "objectid");
    assert_string_not_equal(config_string(c, "instance.id"), config_string(d, "instance.id"));
    assert_false(config_is_set(c, "instance.id"));
}

/* A generation without rows can't bring what was lost. */
static void a_gap_halts_a_table_whose_rows_are_not_read_unless_it_is_set(void **state)
{
    AUTO(config_freep) struct config *all = config_loaded("", NULL);
    AUTO(config_freep) struct config *incr = config_loaded("sync_mode = incr", NULL);
    AUTO(config_freep)
    struct config *set = config_loaded("sync_mode = incr\non_gap = resnapshot", NULL);

    (void)state;
    assert_string_equal(config_string(all, "on_gap"), "resnapshot");
    assert_string_equal(config_string(incr, "on_gap"), "fail");
    assert_string_equal(config_string(set, "on_gap"), "resnapshot");
}

static void the_group_changes_with_the_hosts_and_not_with_the_password(void **state)
{
    AUTO(config_freep)
    struct config *a = config_loaded("target.address = mongodb://u:1@H1,h2/x?a=b", NULL);
    AUTO(config_freep)
    struct config *b = config_loaded("target.address = mongodb://v:2@h1,h2", NULL);
    AUTO(config_freep)
    struct config *c = config_loaded("target.address = mongodb://u:1@h3", NULL);

    (void)state;
    assert_string_equal(config_string(a, "consumer.group"), config_string(b, "consumer.group"));
    assert_string_not_equal(config_string(a, "consumer.group"),
                            config_string(c, "consumer.group"));
    assert_memory_equal(config_string(a, "consumer.group"), "dynaferry-dynamo-shake-", 23);
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
    struct config *c =
        config_loaded("kafka.bootstrap.servers = a:1,b:2\nkafka.linger.ms = 5", set);
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
    config_refused(CONFIG_CONSUMER, "", NULL, 78, "target.address is not set");
    config_refused(CONFIG_FULLCHECK, "", NULL, 78, "target.address is not set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(every_default_is_allowed_and_every_key_has_its_own_variable),
        cmocka_unit_test(a_value_keeps_hashes_semicolons_and_equals_signs),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line_and_what_is_allowed),
        cmocka_unit_test(a_secret_is_in_no_error),
        cmocka_unit_test(an_address_is_shown_without_its_password),
        cmocka_unit_test(an_address_that_is_wrong_says_what_is_wrong),
        cmocka_unit_test(a_file_of_nimoshake_is_read_and_what_has_no_effect_is_named),
        cmocka_unit_test(defaults_follow_from_other_values),
        cmocka_unit_test(a_gap_halts_a_table_whose_rows_are_not_read_unless_it_is_set),
        cmocka_unit_test(the_group_changes_with_the_hosts_and_not_with_the_password),
        cmocka_unit_test(kafka_settings_are_handed_on),
        cmocka_unit_test(a_consumer_needs_a_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

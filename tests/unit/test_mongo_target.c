/* tests/unit/test_mongo_target.c - what of the target's address is used, and what is not left
 * to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/config/config_load.h"
#include "common/mongo/mongo.h"
#include "common/mongo/mongo_target.h"

/* A client for an address with these options; the target goes at once, so nothing is borrowed.
 */
static mongoc_client_t *client_of(const char *options)
{
    AUTO(free_charp) char *line = xasprintf("target.address=mongodb://127.0.0.1:1/%s", options);
    char *argv[] = {(char *)"test", (char *)"--set", line};
    AUTO(mongo_target_freep) struct mongo_target *t = NULL;
    struct config *c = NULL;
    mongoc_client_t *client = NULL;
    struct error err;

    if (config_load(&c, CONFIG_CONSUMER, ARRAY_LEN(argv), argv, NULL, &err) < 0 ||
        mongo_target_new(&t, c, "test", &err) < 0 ||
        mongo_target_client_new(&client, t, false, &err) < 0)
        fail_msg("%s", err.message);
    config_free(c);
    return client;
}

static void everything_is_read_from_the_primary_whatever_the_address_says(void **state)
{
    static const char *const options[] = {
        "", "?readPreference=secondary", "?readPreference=nearest&readPreferenceTags=dc:x",
        "?readPreference=secondaryPreferred&maxStalenessSeconds=120"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        mongoc_client_t *client = client_of(options[i]);

        assert_int_equal(mongoc_read_prefs_get_mode(mongoc_client_get_read_prefs(client)),
                         MONGOC_READ_PRIMARY);
        mongoc_client_destroy(client);
    }
}

/* It would reach commands that refuse one: ping, listCollections, listIndexes. */
static void a_read_concern_of_the_address_is_not_sent(void **state)
{
    static const char *const options[] = {"?readConcernLevel=majority",
                                          "?readConcernLevel=linearizable",
                                          "?readConcernLevel=snapshot", ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        mongoc_client_t *client = client_of(options[i]);

        assert_true(mongoc_read_concern_is_default(mongoc_client_get_read_concern(client)));
        mongoc_client_destroy(client);
    }
}

/* Unlike any other host, it is looked up when the client is made. */
static void a_srv_name_that_does_not_resolve_is_an_error_of_each_command(void **state)
{
    char *argv[] = {(char *)"test", (char *)"--set",
                    xstrdup("target.address=mongodb+srv://u:secret@cluster0.nosuch.invalid/")};
    AUTO(mongo_target_freep) struct mongo_target *t = NULL;
    AUTO(mongo_freep) struct mongo *m = NULL;
    struct config *c = NULL;
    struct error err;

    (void)state;
    if (config_load(&c, CONFIG_CONSUMER, ARRAY_LEN(argv), argv, NULL, &err) < 0 ||
        mongo_target_new(&t, c, "test", &err) < 0)
        fail_msg("%s", err.message);
    m = mongo_new(t);
    for (int again = 0; again < 2; again++) {
        err = (struct error){0};
        assert_int_equal(mongo_ping(m, &err), -1);
        assert_int_equal(err.kind, ERR_RETRY);
        assert_non_null(strstr(err.message, "cluster0.nosuch.invalid"));
        assert_null(strstr(err.message, "secret"));
        assert_int_equal(mongo_limits(m, &err), -1);
        assert_int_equal(err.kind, ERR_RETRY);
    }
    assert_int_equal(mongo_wait(t, 0, &err), -1);
    assert_int_equal(err.code, EXIT_UNREACHABLE);
    assert_non_null(strstr(err.message, "MongoDB at cluster0.nosuch.invalid does not answer"));
    config_free(c);
    free(argv[2]);
}

/* In the driver's words, which never have the password. */
static void an_address_that_the_driver_refuses_says_why(void **state)
{
    static const struct {
        const char *rest, *why;
    } cases[] = {
        {"h/?readPreference=bogus", "Unsupported readPreference value"},
        {"h/d b", "Invalid database name"},
        {"h%zz/", "Invalid host string"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *argv[] = {(char *)"test", (char *)"--set",
                        xasprintf("target.address=mongodb://u:swordfish@%s", cases[i].rest)};
        AUTO(mongo_target_freep) struct mongo_target *t = NULL;
        struct config *c = NULL;
        struct error err;

        assert_int_equal(config_load(&c, CONFIG_CONSUMER, ARRAY_LEN(argv), argv, NULL, &err),
                         0);
        assert_int_equal(mongo_target_new(&t, c, "test", &err), -1);
        assert_int_equal(err.code, EXIT_CONFIGURATION);
        assert_non_null(strstr(err.message, cases[i].why));
        assert_null(strstr(err.message, "swordfish"));
        config_free(c);
        free(argv[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read_from_the_primary_whatever_the_address_says),
        cmocka_unit_test(a_read_concern_of_the_address_is_not_sent),
        cmocka_unit_test(an_address_that_the_driver_refuses_says_why),
        cmocka_unit_test(a_srv_name_that_does_not_resolve_is_an_error_of_each_command),
    };
    int failed;

    mongoc_init();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    mongoc_cleanup();
    return failed;
}

/* tests/unit/test_target.c - what of the target's address is used, and what is not left to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/target.h"

/* A client for an address with these options; the target goes at once, so nothing is borrowed.
 */
static mongoc_client_t *client_of(const char *options)
{
    AUTO(free_charp) char *line = xasprintf("target.address=mongodb://127.0.0.1:1/%s", options);
    char *argv[] = {(char *)"test", (char *)"--set", line};
    AUTO(target_freep) struct target *t = NULL;
    struct config *c = NULL;
    mongoc_client_t *client;
    struct error err;

    if (config_load(&c, CONFIG_CONSUMER, ARRAY_LEN(argv), argv, NULL, &err) < 0 ||
        target_new(&t, c, "test", &err) < 0)
        fail_msg("%s", err.message);
    client = target_client_new(t);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read_from_the_primary_whatever_the_address_says),
        cmocka_unit_test(a_read_concern_of_the_address_is_not_sent),
    };
    int failed;

    mongoc_init();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    mongoc_cleanup();
    return failed;
}

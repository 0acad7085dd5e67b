/* tests/unit/test_target.c - what of the target's address is used, and what is not left to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/target.h"

static void everything_is_read_from_the_primary_whatever_the_address_says(void **state)
{
    static const char *const options[] = {
        "", "?readPreference=secondary", "?readPreference=nearest&readPreferenceTags=dc:x",
        "?readPreference=secondaryPreferred&maxStalenessSeconds=120"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        AUTO(free_charp)
        char *line = xasprintf("target.address=mongodb://127.0.0.1:1/%s", options[i]);
        char *argv[] = {(char *)"test", (char *)"--set", line};
        struct config *c = NULL;
        AUTO(target_freep) struct target *t = NULL;
        mongoc_client_t *client;
        struct error err;

        if (config_load(&c, CONFIG_CONSUMER, ARRAY_LEN(argv), argv, NULL, &err) < 0 ||
            target_new(&t, c, "test", &err) < 0)
            fail_msg("%s", err.message);
        client = target_client_new(t);
        assert_int_equal(mongoc_read_prefs_get_mode(mongoc_client_get_read_prefs(client)),
                         MONGOC_READ_PRIMARY);
        mongoc_client_destroy(client);
        config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read_from_the_primary_whatever_the_address_says),
    };
    int failed;

    mongoc_init();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    mongoc_cleanup();
    return failed;
}

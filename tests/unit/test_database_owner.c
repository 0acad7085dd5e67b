/* Whose the target database is: what the ledger's record says, and what follows from both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/auto.h"
#include "consumer/database_owner.h"

#define ACCOUNT                                                                                \
    {                                                                                          \
        .known = true, .account = "1111", .region = "eu"                                       \
    }
#define ENDPOINT                                                                               \
    {                                                                                          \
        .known = true, .endpoint = "http://e"                                                  \
    }
#define UNKNOWN                                                                                \
    {                                                                                          \
        .known = false                                                                         \
    }

#define OTHER_ACCOUNT                                                                          \
    {                                                                                          \
        .known = true, .account = "2222", .region = "eu"                                       \
    }
#define REGION                                                                                 \
    {                                                                                          \
        .known = true, .region = "eu"                                                          \
    }

static const struct {
    const char *what;
    struct database_owner owner;
    const char *prefix;
    struct database_source source;
    enum database_verdict verdict;
} cases[] = {
    {"nobody's", {.found = false}, "p", UNKNOWN, DATABASE_NOBODYS},
    {"nobody's, source known", {.found = false}, "p", ACCOUNT, DATABASE_NOBODYS},
    {"our prefix", {true, "p", UNKNOWN}, "p", UNKNOWN, DATABASE_OURS},
    {"a longer prefix", {true, "pp", UNKNOWN}, "p", UNKNOWN, DATABASE_ANOTHERS},
    {"another spelling", {true, "P", UNKNOWN}, "p", UNKNOWN, DATABASE_ANOTHERS},
    {"a document without a prefix", {true, "", UNKNOWN}, "p", UNKNOWN, DATABASE_ANOTHERS},
    {"a source that is not noted", {true, "p", UNKNOWN}, "p", ACCOUNT, DATABASE_UNSIGNED},
    {"a source that is not told", {true, "p", ACCOUNT}, "p", UNKNOWN, DATABASE_OURS},
    {"the same source", {true, "p", ACCOUNT}, "p", ACCOUNT, DATABASE_OURS},
    {"another kind of source", {true, "p", ACCOUNT}, "p", ENDPOINT, DATABASE_ASK},
    {"the same endpoint", {true, "p", ENDPOINT}, "p", ENDPOINT, DATABASE_OURS},
    {"another spelling of the endpoint, or another endpoint",
     {true, "p", ENDPOINT},
     "p",
     {.known = true, .endpoint = "http://e:80"},
     DATABASE_ASK},
    {"another account", {true, "p", ACCOUNT}, "p", OTHER_ACCOUNT, DATABASE_ANOTHERS},
    {"a region that is not noted yet",
     {true, "p", {.known = true, .account = "1111"}},
     "p",
     ACCOUNT,
     DATABASE_UNSIGNED},
    {"a region that is not told",
     {true, "p", ACCOUNT},
     "p",
     {.known = true, .account = "1111"},
     DATABASE_OURS},
    {"another prefix of the same source",
     {true, "q", ACCOUNT},
     "p",
     ACCOUNT,
     DATABASE_ANOTHERS},
    {"an account that is not known yet", {true, "p", ACCOUNT}, "p", REGION, DATABASE_OURS},
    {"an account that is not noted yet", {true, "p", REGION}, "p", ACCOUNT, DATABASE_UNSIGNED},
    {"another region",
     {true, "p", ACCOUNT},
     "p",
     {.known = true, .account = "1111", .region = "us"},
     DATABASE_ANOTHERS},
};

static void a_database_is_of_one_prefix_and_one_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum database_verdict verdict =
            database_owner_judge(&cases[i].owner, cases[i].prefix, &cases[i].source);

        if (verdict != cases[i].verdict)
            fail_msg("%s: %d", cases[i].what, verdict);
    }
}

static struct database_source decoded(const char *json)
{
    struct database_source source;
    struct error err;

    if (database_source_decode(&source, bytes_of(json), &err) < 0)
        fail_msg("%s: %s", json, err.message);
    return source;
}

static void a_source_is_an_account_and_region_or_an_endpoint(void **state)
{
    struct database_source s =
        decoded("{\"region\":\"eu\",\"more\":[1,{}],\"account\":\"1111\",\"endpoint\":null}");

    (void)state;
    assert_true(s.known);
    assert_string_equal(s.account, "1111");
    assert_string_equal(s.region, "eu");
    assert_string_equal(s.endpoint, "");
    s = decoded("{\"endpoint\":\"http:\\/\\/e\"}");
    assert_true(s.known);
    assert_string_equal(s.endpoint, "http://e");
    assert_false(decoded("{}").known);
    assert_false(decoded("{\"account\":null}").known);
}

static void what_is_no_object_is_an_error(void **state)
{
    static const char *const bad[] = {"", "null", "[]", "\"a\"", "{\"account\":\"1\"", "{}x"};
    struct database_source source = {.known = true};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(database_source_decode(&source, bytes_of(bad[i]), &err), -1);
        assert_int_equal(err.kind, ERR_DATA);
    }
    assert_true(source.known); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_is_of_one_prefix_and_one_source),
        cmocka_unit_test(a_source_is_an_account_and_region_or_an_endpoint),
        cmocka_unit_test(what_is_no_object_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_ddb_endpoint.c - which URL and Host header each service gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/ddb_endpoint.h"

static const struct {
    const char *given, *region;
    const char *of_tables, *of_streams, *of_both; /* environment */
    const char *tables, *streams;                 /* expected URLs; NULL: refused */
} cases[] = {
    {"", "eu-west-1", NULL, NULL, NULL, "https://dynamodb.eu-west-1.amazonaws.com/",
     "https://streams.dynamodb.eu-west-1.amazonaws.com/"},
    {"", "cn-north-1", NULL, NULL, NULL, "https://dynamodb.cn-north-1.amazonaws.com.cn/",
     "https://streams.dynamodb.cn-north-1.amazonaws.com.cn/"},
    {"http://127.0.0.1:8000", "eu-west-1", "http://a", "http://b", "http://c",
     "http://127.0.0.1:8000/", "http://127.0.0.1:8000/"},
    {"http://localhost:8000/", NULL, NULL, NULL, NULL, "http://localhost:8000/",
     "http://localhost:8000/"},
    {"", "eu-west-1", "http://a:1", "http://b:2", "http://c:3", "http://a:1/", "http://b:2/"},
    {"", "eu-west-1", "http://a:1", NULL, "http://c:3", "http://a:1/", "http://c:3/"},
    {"", "eu-west-1", "http://a:1", NULL, NULL, "http://a:1/",
     "https://streams.dynamodb.eu-west-1.amazonaws.com/"},
    {"https://dynamodb.us-east-1.amazonaws.com", NULL, NULL, NULL, NULL,
     "https://dynamodb.us-east-1.amazonaws.com/",
     "https://streams.dynamodb.us-east-1.amazonaws.com/"},
    {"", NULL, NULL, NULL, "https://dynamodb.us-east-1.api.aws",
     "https://dynamodb.us-east-1.api.aws/", "https://streams.dynamodb.us-east-1.api.aws/"},
    {"", NULL, NULL, "https://dynamodb.us-east-1.amazonaws.com", "http://c", "http://c/",
     "https://dynamodb.us-east-1.amazonaws.com/"},
    {"https://example.org:443", NULL, NULL, NULL, NULL, "https://example.org/",
     "https://example.org/"},
    {"http://[::1]:8000", NULL, NULL, NULL, NULL, "http://[::1]:8000/", "http://[::1]:8000/"},
    {"", NULL, NULL, NULL, NULL, NULL, NULL},
    {"http://h/path", NULL, NULL, NULL, NULL, NULL, NULL},
    {"http://h/?q", NULL, NULL, NULL, NULL, NULL, NULL},
    {"http://user:pw@h", NULL, NULL, NULL, NULL, NULL, NULL},
    {"ftp://h", NULL, NULL, NULL, NULL, NULL, NULL},
    {"localhost", NULL, NULL, NULL, NULL, NULL, NULL},
    {"http://", NULL, NULL, NULL, NULL, NULL, NULL},
    {"http://h:99999", NULL, NULL, NULL, NULL, NULL, NULL},
};

static void put(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void gives(size_t i, enum ddb_service service, const char *expected)
{
    AUTO(ddb_endpoint_release) struct ddb_endpoint e = {0};
    struct error err = {0};
    int rc = ddb_endpoint_find(&e, service, cases[i].given, cases[i].region, &err);

    if (!expected) {
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, EXIT_CONFIGURATION);
        assert_null(strstr(err.message, "pw"));
        return;
    }
    if (rc < 0)
        fail_msg("case %zu: %s", i, err.message);
    assert_string_equal(e.url, expected);
    assert_non_null(strstr(expected, e.host));
    assert_int_equal(strlen(strstr(expected, "://") + 3), strlen(e.host) + 1);
}

static void the_endpoints_follow_configuration_environment_and_region(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put("AWS_ENDPOINT_URL_DYNAMODB", cases[i].of_tables);
        put("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", cases[i].of_streams);
        put("AWS_ENDPOINT_URL", cases[i].of_both);
        gives(i, DDB_TABLES, cases[i].tables);
        gives(i, DDB_STREAMS, cases[i].streams);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_endpoints_follow_configuration_environment_and_region),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_aws_credentials.c - where keys and region are looked for, and what is said
 * when they are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/aws_credentials.h"
#include "tests/unit/support_config.h"

static const char *const variables[] = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_PROFILE",       "AWS_CONFIG_FILE",       "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_REGION",        "AWS_DEFAULT_REGION",
};

static char home[] = "/tmp/dynaferry-aws-XXXXXX";

static void forget_file(const char *name)
{
    AUTO(free_charp) char *path = xasprintf("%s/.aws/%s", home, name);

    unlink(path);
}

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
    setenv("HOME", home, 1);
    forget_file("credentials");
    forget_file("config");
    return 0;
}

static int make_home(void **state)
{
    AUTO(free_charp) char *dir = NULL;

    (void)state;
    if (!mkdtemp(home))
        return -1;
    dir = xasprintf("%s/.aws", home);
    return mkdir(dir, 0700);
}

static int remove_home(void **state)
{
    AUTO(free_charp) char *dir = xasprintf("%s/.aws", home);

    clean(state);
    return rmdir(dir) + rmdir(home);
}

static void write_file(const char *name, const char *text)
{
    AUTO(free_charp) char *path = xasprintf("%s/.aws/%s", home, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* With these settings, ended by NULL. */
static struct config *config_of(const char *const *sets)
{
    const char *args[16];
    size_t n = 0;

    for (; *sets; sets++) {
        args[n++] = "--set";
        args[n++] = *sets;
    }
    args[n] = NULL;
    return config_loaded("", args);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int find(struct aws_keys *ret, const char *const *sets, struct error *err)
{
    struct config *c = config_of(sets);
    AUTO(aws_credentials_freep) struct aws_credentials *a = NULL;
    int rc = aws_credentials_new(&a, c, err);

    config_free(c);
    return rc < 0 ? -1 : aws_credentials_get(a, ret, err);
}

static void finds(const char *const *sets, const char *id, const char *secret,
                  const char *token)
{
    struct aws_keys keys;
    struct error err;

    if (find(&keys, sets, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(keys.access_key_id, id);
    assert_string_equal(keys.secret_access_key, secret);
    assert_string_equal(keys.session_token, token);
}

static void refuses(const char *const *sets, int code, const char *words)
{
    struct aws_keys keys;
    struct error err = {0};

    assert_int_equal(find(&keys, sets, &err), -1);
    assert_int_equal(err.kind, ERR_FATAL);
    assert_int_equal(err.code, code);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_null(strstr(err.message, "hidden"));
}

static void configuration_is_first_then_environment_then_profile(void **state)
{
    (void)state;
    write_file("credentials", "[default]\naws_access_key_id = P\naws_secret_access_key = p\n");
    finds(SETS(), "P", "p", "");
    setenv("AWS_ACCESS_KEY_ID", "E", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    finds(SETS(), "E", "e", "token");
    finds(SETS("source.access_key_id=C", "source.secret_access_key=c"), "C", "c", "");
    finds(
        SETS("source.access_key_id=C", "source.secret_access_key=c", "source.session_token=t"),
        "C", "c", "t");
}

static void half_a_pair_is_an_error_that_names_the_other_half(void **state)
{
    (void)state;
    write_file("credentials", "[default]\naws_access_key_id = P\naws_secret_access_key = p\n");
    refuses(SETS("source.access_key_id=C"), EXIT_CONFIGURATION,
            "source.secret_access_key is not");
    setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
    refuses(SETS(), EXIT_CONFIGURATION, "AWS_ACCESS_KEY_ID is not");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    write_file("credentials", "[default]\naws_access_key_id = P\n");
    refuses(SETS(), EXIT_CONFIGURATION, "aws_secret_access_key is not");
}

static void a_profile_is_found_by_name_in_both_files(void **state)
{
    (void)state;
    write_file("credentials", "# comment\n"
                              "[default]\n"
                              "aws_access_key_id = D\naws_secret_access_key = d\n"
                              "[other]   ; comment\n"
                              "aws_access_key_id=O  # comment\r\n"
                              "aws_secret_access_key=o+/#=\n");
    write_file("config", "[default]\nregion = eu-west-1\n"
                         "[profile third]\n"
                         "s3 =\n"
                         "  aws_access_key_id = nested\n"
                         "aws_access_key_id = T\n"
                         "aws_secret_access_key = t\n"
                         "aws_session_token = tt\n"
                         "[profile other]\naws_access_key_id = X\n");
    setenv("AWS_PROFILE", "other", 1);
    finds(SETS(), "O", "o+/#=", "");
    setenv("AWS_PROFILE", "third", 1);
    finds(SETS(), "T", "t", "tt");
    setenv("AWS_PROFILE", "", 1);
    finds(SETS(), "D", "d", "");
}

static void the_files_may_be_elsewhere(void **state)
{
    AUTO(free_charp) char *path = xasprintf("%s/.aws/config", home);

    (void)state;
    write_file("config", "[default]\naws_access_key_id = A\naws_secret_access_key = a\n");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unsetenv("HOME");
    finds(SETS(), "A", "a", "");
}

static void a_session_token_may_be_long(void **state)
{
    char token[3001], *text;

    (void)state;
    memset(token, 'x', 3000);
    token[3000] = '\0';
    text = xasprintf("[default]\naws_access_key_id = A\naws_secret_access_key = a\n"
                     "aws_session_token = %s",
                     token);
    write_file("credentials", text);
    free(text);
    finds(SETS(), "A", "a", token);
}

static void keys_that_can_not_be_are_refused_without_being_shown(void **state)
{
    char many[5000];

    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hidden\nX-Evil: 1", 1);
    refuses(SETS(), EXIT_CONFIGURATION, "environment: the secret access key");
    setenv("AWS_SECRET_ACCESS_KEY", "a", 1);
    memset(many, 'x', sizeof(many));
    many[sizeof(many) - 1] = '\0';
    setenv("AWS_SESSION_TOKEN", many, 1);
    refuses(SETS(), EXIT_CONFIGURATION, "session token is longer than 4095");
}

static void without_keys_it_says_where_it_looked(void **state)
{
    AUTO(free_charp) char *path = xasprintf("%s/.aws/credentials", home);

    (void)state;
    refuses(SETS(), EXIT_NO_RIGHT, path);
    refuses(SETS(), EXIT_NO_RIGHT, "profile \"default\" does not exist");
    setenv("AWS_PROFILE", "work", 1);
    write_file("config", "[profile work]\nregion = eu-west-1\n");
    refuses(SETS(), EXIT_NO_RIGHT, "profile \"work\" has no aws_access_key_id");
    write_file("config", "[profile work]\nrole_arn = arn:aws:iam::1:role/r\n");
    refuses(SETS(), EXIT_NO_RIGHT, "by role_arn, which is not supported");
    unsetenv("HOME");
    refuses(SETS(), EXIT_NO_RIGHT, "HOME is not set");
}

static void a_file_that_can_not_be_read_is_an_error(void **state)
{
    (void)state;
    setenv("AWS_SHARED_CREDENTIALS_FILE", home, 1); /* a directory */
    refuses(SETS(), EXIT_NO_RIGHT, "directory");
}

static void has_region(const char *const *sets, const char *expected)
{
    struct config *c = config_of(sets);
    AUTO(free_charp) char *region = NULL;
    struct error err;

    if (aws_credentials_region(&region, c, &err) < 0)
        fail_msg("%s", err.message);
    config_free(c);
    if (expected)
        assert_string_equal(region, expected);
    else
        assert_null(region);
}

static void the_region_is_looked_for_in_the_same_order(void **state)
{
    (void)state;
    has_region(SETS(), NULL);
    write_file("config", "[default]\nregion = profile-1\n");
    has_region(SETS(), "profile-1");
    setenv("AWS_DEFAULT_REGION", "default-1", 1);
    has_region(SETS(), "default-1");
    setenv("AWS_REGION", "region-1", 1);
    has_region(SETS(), "region-1");
    has_region(SETS("source.region=config-1"), "config-1");
}

static void a_region_that_is_no_part_of_a_host_name_is_refused(void **state)
{
    struct config *c = config_of(SETS());
    AUTO(free_charp) char *region = NULL;
    struct error err;

    (void)state;
    setenv("AWS_REGION", "eu-west-1.evil.example/", 1);
    assert_int_equal(aws_credentials_region(&region, c, &err), -1);
    assert_int_equal(err.code, EXIT_CONFIGURATION);
    assert_null(region);
    config_free(c);
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration_is_first_then_environment_then_profile),
        TEST(half_a_pair_is_an_error_that_names_the_other_half),
        TEST(a_profile_is_found_by_name_in_both_files),
        TEST(the_files_may_be_elsewhere),
        TEST(a_session_token_may_be_long),
        TEST(keys_that_can_not_be_are_refused_without_being_shown),
        TEST(without_keys_it_says_where_it_looked),
        TEST(a_file_that_can_not_be_read_is_an_error),
        TEST(the_region_is_looked_for_in_the_same_order),
        TEST(a_region_that_is_no_part_of_a_host_name_is_refused),
    };

    return cmocka_run_group_tests(tests, make_home, remove_home);
}

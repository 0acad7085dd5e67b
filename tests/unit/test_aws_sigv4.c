/* tests/unit/test_aws_sigv4.c - AWS's published test suite for Signature Version 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/dynamodb/aws_sigv4.h"

#define TOKEN                                                                                  \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmx" \
    "fpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0K" \
    "PkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZb" \
    "qBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct vector {
    const char *name, *method, *path, *query, *body;
    const char *headers[8]; /* name, value, ... besides host and x-amz-date; in order */
    const char *names, *signature;
} vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     "",
     "",
     {0},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param1=value1&Param2=value2",
     "",
     {0},
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-utf8",
     "GET",
     "/%E1%88%B4",
     "",
     "",
     {0},
     "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     "",
     {"my-header1", " value1", "my-header2", " \"a   b   c\""},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla",
     "POST",
     "/",
     "",
     "",
     {0},
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     "",
     {"my-header1", "value1"},
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     "",
     {"my-header1", "VALUE1"},
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     "Param1=value1",
     {"content-type", "application/x-www-form-urlencoded"},
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-sts-header-before",
     "POST",
     "/",
     "",
     "",
     {"x-amz-security-token", TOKEN},
     "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
};

static size_t add_header(struct aws_sigv4_header *headers, size_t n, const char *name,
                         const char *value)
{
    size_t at = n;

    for (; at > 0 && strcmp(headers[at - 1].name.p, name) > 0; at--)
        headers[at] = headers[at - 1];
    headers[at] = (struct aws_sigv4_header){bytes_of(name), bytes_of(value)};
    return n + 1;
}

static void signs(const struct vector *v)
{
    const struct aws_keys keys = {
        .access_key_id = "AKIDEXAMPLE",
        .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    };
    struct aws_sigv4_header headers[8];
    size_t n = add_header(headers, 0, "host", "example.amazonaws.com");
    AUTO(free_charp) char *expected = NULL;
    AUTO(buf_release) struct buf out = {.ceiling = 10000};

    n = add_header(headers, n, "x-amz-date", "20150830T123600Z");
    for (int i = 0; v->headers[i]; i += 2)
        n = add_header(headers, n, v->headers[i], v->headers[i + 1]);
    aws_sigv4_authorization(&out,
                            &(struct aws_sigv4_request){.method = v->method,
                                                        .path = bytes_of(v->path),
                                                        .query = bytes_of(v->query),
                                                        .headers = headers,
                                                        .header_count = n,
                                                        .body = bytes_of(v->body),
                                                        .region = "us-east-1",
                                                        .service = "service",
                                                        .amz_date = "20150830T123600Z"},
                            &keys);
    expected = xasprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                         "aws4_request, SignedHeaders=%s, Signature=%s",
                         v->names, v->signature);
    if (strcmp(expected, buf_cstr(&out)) != 0)
        fail_msg("%s: %s", v->name, buf_cstr(&out));
}

static void signs_as_the_published_vectors_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        signs(&vectors[i]);
}

static void writes_the_date_in_utc(void **state)
{
    char date[AWS_SIGV4_DATE_SIZE];

    (void)state;
    aws_sigv4_date(date, 1440938160999);
    assert_string_equal(date, "20150830T123600Z");
    aws_sigv4_date(date, 0);
    assert_string_equal(date, "19700101T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_the_published_vectors_do),
        cmocka_unit_test(writes_the_date_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

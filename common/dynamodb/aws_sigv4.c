/* common/dynamodb/aws_sigv4.c - the four steps of the signature, as AWS's documentation names
 * them: canonical request, string to sign, signing key, signature. */
#include "common/dynamodb/aws_sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#include "common/base/check.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DIGEST_LEN 32
#define DATE_LEN 8 /* of 20150830T123600Z */

static void append_hex(struct buf *out, const unsigned char *digest)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_LEN; i++) {
        buf_char(out, digits[digest[i] >> 4]);
        buf_char(out, digits[digest[i] & 15]);
    }
}

bool aws_sigv4_works(void)
{
    unsigned char digest[DIGEST_LEN];
    unsigned int len = DIGEST_LEN;

    return EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL) == 1 &&
           HMAC(EVP_sha256(), "k", 1, digest, sizeof(digest), digest, &len);
}

static void append_sha256(struct buf *out, struct bytes data)
{
    unsigned char digest[DIGEST_LEN];

    CHECK(EVP_Digest(data.p ? data.p : "", data.len, digest, NULL, EVP_sha256(), NULL) == 1);
    append_hex(out, digest);
}

static void hmac(unsigned char *ret, const void *key, size_t key_len, struct bytes data)
{
    unsigned int len = DIGEST_LEN;

    CHECK(HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data.p, data.len, ret,
               &len));
}

/* Outer spaces are dropped and inner runs become one. */
static void append_header_value(struct buf *out, struct bytes value)
{
    bool gap = false, any = false;

    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];

        if (c == ' ' || c == '\t') {
            gap = any;
            continue;
        }
        if (gap)
            buf_char(out, ' ');
        gap = false;
        any = true;
        buf_char(out, c);
    }
}

static void append_signed_names(struct buf *out, const struct aws_sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (i > 0)
            buf_char(out, ';');
        buf_bytes(out, request->headers[i].name);
    }
}

static void canonical_request(struct buf *out, const struct aws_sigv4_request *request)
{
    buf_bytes(out, bytes_of(request->method));
    buf_char(out, '\n');
    buf_bytes(out, request->path);
    buf_char(out, '\n');
    buf_bytes(out, request->query);
    buf_char(out, '\n');
    for (size_t i = 0; i < request->header_count; i++) {
        buf_bytes(out, request->headers[i].name);
        buf_char(out, ':');
        append_header_value(out, request->headers[i].value);
        buf_char(out, '\n');
    }
    buf_char(out, '\n');
    append_signed_names(out, request);
    buf_char(out, '\n');
    append_sha256(out, request->body);
}

static void append_scope(struct buf *out, const struct aws_sigv4_request *request)
{
    buf_append(out, request->amz_date, DATE_LEN);
    buf_printf(out, "/%s/%s/aws4_request", request->region, request->service);
}

static void string_to_sign(struct buf *out, const struct aws_sigv4_request *request,
                           struct bytes canonical)
{
    buf_printf(out, ALGORITHM "\n%s\n", request->amz_date);
    append_scope(out, request);
    buf_char(out, '\n');
    append_sha256(out, canonical);
}

static void signing_key(unsigned char *ret, const struct aws_sigv4_request *request,
                        const char *secret)
{
    char first[4 + sizeof(((struct aws_keys *)0)->secret_access_key)];
    int n = snprintf(first, sizeof(first), "AWS4%s", secret);

    CHECK(n > 0 && (size_t)n < sizeof(first));
    hmac(ret, first, (size_t)n, (struct bytes){request->amz_date, DATE_LEN});
    hmac(ret, ret, DIGEST_LEN, bytes_of(request->region));
    hmac(ret, ret, DIGEST_LEN, bytes_of(request->service));
    hmac(ret, ret, DIGEST_LEN, BYTES_LIT("aws4_request"));
    OPENSSL_cleanse(first, sizeof(first));
}

static void append_signature(struct buf *out, const struct aws_sigv4_request *request,
                             const char *secret)
{
    unsigned char key[DIGEST_LEN], signature[DIGEST_LEN];
    AUTO(buf_release) struct buf canonical = {.ceiling = SIZE_MAX};
    AUTO(buf_release) struct buf text = {.ceiling = SIZE_MAX};

    canonical_request(&canonical, request);
    string_to_sign(&text, request, buf_slice(&canonical));
    signing_key(key, request, secret);
    hmac(signature, key, sizeof(key), buf_slice(&text));
    append_hex(out, signature);
    OPENSSL_cleanse(key, sizeof(key));
}

void aws_sigv4_authorization(struct buf *out, const struct aws_sigv4_request *request,
                             const struct aws_keys *keys)
{
    CHECK(strlen(request->amz_date) > DATE_LEN);
    buf_printf(out, ALGORITHM " Credential=%s/", keys->access_key_id);
    append_scope(out, request);
    buf_lit(out, ", SignedHeaders=");
    append_signed_names(out, request);
    buf_lit(out, ", Signature=");
    append_signature(out, request, keys->secret_access_key);
}

void aws_sigv4_date(char *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    CHECK(gmtime_r(&seconds, &tm));
    CHECK(strftime(out, AWS_SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == AWS_SIGV4_DATE_SIZE - 1);
}

/* common/dynamodb/ddb_error.c - names of the services' errors, sorted by what the caller may
 * do. */
#include "common/dynamodb/ddb_error.h"

#include <string.h>

#include "common/base/backoff.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"
#include "common/json/json_reader.h"
#include "common/json/json_text.h"

#define WORDS_AT_MOST ((size_t)300)
#define TEXT_AT_MOST 16384 /* past it reasons are left out; struct error cuts earlier */

static const struct {
    const char *name;
    enum ddb_error error;
} names[] = {
    {"ProvisionedThroughputExceededException", DDB_THROTTLED},
    {"ThrottlingException", DDB_THROTTLED},
    {"Throttling", DDB_THROTTLED},
    {"ThrottledException", DDB_THROTTLED},
    {"RequestLimitExceeded", DDB_THROTTLED},
    {"RequestThrottled", DDB_THROTTLED},
    {"RequestThrottledException", DDB_THROTTLED},
    {"TooManyRequestsException", DDB_THROTTLED},
    {"SlowDown", DDB_THROTTLED},
    /* too many readers of a shard, or calls of UpdateTable */
    {"LimitExceededException", DDB_THROTTLED},
    {"ResourceNotFoundException", DDB_NOT_FOUND},
    {"TableNotFoundException", DDB_NOT_FOUND},
    {"ResourceInUseException", DDB_IN_USE},
    {"ExpiredIteratorException", DDB_EXPIRED_ITERATOR},
    {"TrimmedDataAccessException", DDB_TRIMMED},
    {"AccessDeniedException", DDB_DENIED},
    {"AccessDenied", DDB_DENIED},
    {"UnauthorizedException", DDB_DENIED},
    {"UnrecognizedClientException", DDB_DENIED},
    {"InvalidSignatureException", DDB_DENIED},
    {"SignatureDoesNotMatch", DDB_DENIED},
    {"IncompleteSignatureException", DDB_DENIED},
    {"IncompleteSignature", DDB_DENIED},
    {"MissingAuthenticationTokenException", DDB_DENIED},
    {"MissingAuthenticationToken", DDB_DENIED},
    {"InvalidClientTokenId", DDB_DENIED},
    {"ExpiredTokenException", DDB_DENIED},
    {"ExpiredToken", DDB_DENIED},
    {"RequestExpired", DDB_DENIED},
    {"RequestTimeTooSkewed", DDB_DENIED},
    {"OptInRequired", DDB_DENIED},
    {"SubscriptionRequiredException", DDB_DENIED},
    {"InternalServerError", DDB_BROKEN},
    {"InternalServerErrorException", DDB_BROKEN},
    {"InternalFailure", DDB_BROKEN},
    {"InternalFailureException", DDB_BROKEN},
    {"ServiceUnavailable", DDB_BROKEN},
    {"ServiceUnavailableException", DDB_BROKEN},
    {"RequestTimeout", DDB_BROKEN},
    {"RequestTimeoutException", DDB_BROKEN},
    {"CRC32CheckFailed", DDB_BROKEN},
};

static enum ddb_error error_of_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].error;
    return DDB_OTHER;
}

/* What came without a name that we know: by a proxy, a balancer or another kind of server. */
static enum ddb_error error_of_status(long status)
{
    if (status >= 500 || status == 408)
        return DDB_BROKEN;
    if (status == 429)
        return DDB_THROTTLED;
    if (status == 401 || status == 403 || status == 407)
        return DDB_DENIED;
    return DDB_OTHER;
}

enum error_kind ddb_error_kind(enum ddb_error e)
{
    switch (e) {
    case DDB_OK:
        return ERR_NONE;
    case DDB_BROKEN:
    case DDB_THROTTLED:
    case DDB_IN_USE:
        return ERR_RETRY;
    case DDB_NOT_FOUND:
    case DDB_EXPIRED_ITERATOR:
    case DDB_TRIMMED:
        return ERR_DATA;
    case DDB_DENIED:
    case DDB_OTHER:
        break;
    }
    return ERR_FATAL;
}

/* The text of a member; NULL: there is none. Not every server on the way answers with JSON. */
static char *text_of(struct bytes object, const char *name)
{
    struct json_reader r;
    struct bytes value;

    if (!json_member(object, name, &value))
        return NULL;
    json_reader_init(&r, value);
    return json_string(&r, &value) ? json_unescape_dup(value, NULL) : NULL;
}

/* The name after '#' in "com.amazonaws.dynamodb.v20120810#Name". */
static const char *name_of(const char *type)
{
    const char *at = strrchr(type, '#');

    return at ? at + 1 : type;
}

/* "TableReadProvisionedThroughputExceeded arn:...; ..." */
static void append_reasons(struct buf *out, struct bytes answer)
{
    struct json_reader r;
    struct bytes reasons, one;

    if (!json_member(answer, "ThrottlingReasons", &reasons) &&
        !json_member(answer, "throttlingReasons", &reasons))
        return;
    json_reader_init(&r, reasons);
    json_array_begin(&r);
    while (json_array_next(&r) && json_skip(&r, &one)) {
        AUTO(free_charp) char *why = text_of(one, "reason"), *what = text_of(one, "resource");

        buf_printf(out, "; %.100s %.200s", why ? why : "", what ? what : "");
    }
}

/* A refused signature comes with the canonical request, and so with the session token, in the
 * lines after the first. */
static void append_first_line(struct buf *out, const char *text)
{
    buf_append(out, text, MIN(strcspn(text, "\r\n"), WORDS_AT_MOST));
}

static bool is_about_the_clock(const char *name, const char *message)
{
    if (strcmp(name, "RequestExpired") == 0 || strcmp(name, "RequestTimeTooSkewed") == 0)
        return true;
    return strcmp(name, "InvalidSignatureException") == 0 && message &&
           (strstr(message, "Signature expired") || strstr(message, "not yet current"));
}

static int exit_code_of(enum ddb_error e)
{
    if (ddb_error_kind(e) != ERR_FATAL)
        return 0;
    return e == DDB_DENIED ? EXIT_NO_RIGHT : EXIT_FATAL;
}

struct ddb_error_answer ddb_error_read(long status, struct bytes body, const char *operation,
                                       struct error *err)
{
    AUTO(free_charp)
    char *type = text_of(body, "__type"), *small = text_of(body, "message"),
         *capital = text_of(body, "Message");
    AUTO(buf_release) struct buf text = {.ceiling = TEXT_AT_MOST};
    const char *name = type ? name_of(type) : "", *message = small ? small : capital;
    struct ddb_error_answer r = {.error = error_of_name(name)};

    if (r.error == DDB_OTHER && (status >= 500 || !*name))
        r.error = error_of_status(status);
    r.clock = is_about_the_clock(name, message);
    if (*name)
        buf_printf(&text, "%s: %.100s (HTTP %ld)", operation, name, status);
    else
        buf_printf(&text, "%s: HTTP %ld without an error of DynamoDB", operation, status);
    if (message) {
        buf_lit(&text, ": ");
        append_first_line(&text, message);
    }
    append_reasons(&text, body);
    error_set(err, ddb_error_kind(r.error), BYTES_FMT, BYTES_ARG(text));
    err->code = exit_code_of(r.error);
    return r;
}

int64_t ddb_error_retry_ms(enum ddb_error kind, unsigned *tries)
{
    struct backoff b;

    backoff_init(&b, kind == DDB_THROTTLED ? 200 : 50, 60000, NULL, NULL);
    b.tries = (*tries)++;
    return backoff_next_ms(&b);
}

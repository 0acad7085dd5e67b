/* common/dynamodb/aws_credentials.c - one provider is chosen when the program starts; only the
 * profile's keys can change later. */
#include "common/dynamodb/aws_credentials.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/aws_profile.h"

#define READ_AGAIN_MS 30000

struct aws_credentials {
    /* set once */
    bool from_profile;
    /* under mutex */
    pthread_mutex_t mutex;
    struct aws_keys keys;
    bool have_keys;
    int64_t read_ms;
};

/* Texts as given, by whoever gave them; NULL or "" is not given. */
struct key_texts {
    const char *where;
    const char *id_name, *secret_name; /* what the user would have to set */
    const char *id, *secret, *token;
};

static bool given(const char *text)
{
    return text && *text;
}

/* Control characters would break the request's head; a text too long can't be a key. */
static int copy_key(char *out, size_t size, const char *text, const char *where,
                    const char *what, struct error *err)
{
    size_t n = text ? strlen(text) : 0;

    if (n >= size)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: the %s is longer than %zu characters",
                           where, what, size - 1);
    for (size_t i = 0; i < n; i++)
        if (!isgraph((unsigned char)text[i]))
            return error_fatal(err, EXIT_CONFIGURATION,
                               "%s: the %s holds a space, control or non-ASCII character",
                               where, what);
    memcpy(out, text ? text : "", n + 1);
    return 0;
}

/* 1: a whole pair; 0: nothing here; -1: half a pair, or no possible keys. */
static int take_keys(struct aws_keys *ret, const struct key_texts *texts, struct error *err)
{
    struct aws_keys k;

    if (!given(texts->id) && !given(texts->secret))
        return 0;
    if (!given(texts->id) || !given(texts->secret))
        return error_fatal(err, EXIT_CONFIGURATION, "%s: %s is set, but %s is not",
                           texts->where, given(texts->id) ? texts->id_name : texts->secret_name,
                           given(texts->id) ? texts->secret_name : texts->id_name);
    if (copy_key(k.access_key_id, sizeof(k.access_key_id), texts->id, texts->where,
                 "access key id", err) < 0 ||
        copy_key(k.secret_access_key, sizeof(k.secret_access_key), texts->secret, texts->where,
                 "secret access key", err) < 0 ||
        copy_key(k.session_token, sizeof(k.session_token), texts->token, texts->where,
                 "session token", err) < 0)
        return -1;
    *ret = k;
    OPENSSL_cleanse(&k, sizeof(k));
    return 1;
}

static int keys_of_config(struct aws_keys *ret, const struct config *c, struct error *err)
{
    return take_keys(ret,
                     &(struct key_texts){"configuration", "source.access_key_id",
                                         "source.secret_access_key",
                                         config_string(c, "source.access_key_id"),
                                         config_string(c, "source.secret_access_key"),
                                         config_string(c, "source.session_token")},
                     err);
}

static int keys_of_environment(struct aws_keys *ret, struct error *err)
{
    return take_keys(ret,
                     &(struct key_texts){"environment", "AWS_ACCESS_KEY_ID",
                                         "AWS_SECRET_ACCESS_KEY", getenv("AWS_ACCESS_KEY_ID"),
                                         getenv("AWS_SECRET_ACCESS_KEY"),
                                         getenv("AWS_SESSION_TOKEN")},
                     err);
}

static int no_keys(const struct aws_profile *p, struct error *err)
{
    AUTO(free_charp) char *profile = NULL;
    const char *credentials = p->credentials_path ? p->credentials_path : "(HOME is not set)";
    const char *config = p->config_path ? p->config_path : "(HOME is not set)";

    if (p->other_way)
        profile = xasprintf("gets its keys by %s, which is not supported", p->other_way);
    else
        profile = xstrdup(p->found ? "has no aws_access_key_id" : "does not exist");
    return error_fatal(err, EXIT_NO_RIGHT,
                       "no AWS credentials: neither source.access_key_id nor AWS_ACCESS_KEY_ID "
                       "is set, and profile \"%s\" %s (looked in %s and %s); web identity, "
                       "container and instance roles are not looked at",
                       p->name, profile, credentials, config);
}

static int keys_of_profile(struct aws_keys *ret, struct error *err)
{
    AUTO(aws_profile_release) struct aws_profile p = {0};
    AUTO(free_charp) char *where = NULL;
    int rc;

    if (aws_profile_read(&p, err) < 0)
        return -1;
    where = xasprintf("profile \"%s\"", p.name);
    rc = take_keys(ret,
                   &(struct key_texts){where, "aws_access_key_id", "aws_secret_access_key",
                                       p.access_key_id, p.secret_access_key, p.session_token},
                   err);
    return rc == 0 ? no_keys(&p, err) : rc;
}

int aws_credentials_new(struct aws_credentials **ret, const struct config *c, struct error *err)
{
    AUTO(aws_credentials_freep)
    struct aws_credentials *credentials = xcalloc(1, sizeof(*credentials));
    int rc;

    CHECK(pthread_mutex_init(&credentials->mutex, NULL) == 0);
    rc = keys_of_config(&credentials->keys, c, err);
    if (rc == 0)
        rc = keys_of_environment(&credentials->keys, err);
    if (rc < 0)
        return -1;
    credentials->have_keys = rc == 1;
    credentials->from_profile = rc == 0;
    *ret = TAKE(credentials);
    return 0;
}

void aws_credentials_free(struct aws_credentials *credentials)
{
    if (!credentials)
        return;
    pthread_mutex_destroy(&credentials->mutex);
    OPENSSL_cleanse(&credentials->keys, sizeof(credentials->keys));
    free(credentials);
}

/* A file that is being rewritten is read again at the next request: until then the keys that
 * are known still hold, and the service would say if not. */
static int renew(struct aws_credentials *credentials, struct error *err)
{
    int64_t now = clock_mono_ms();

    if (!credentials->from_profile ||
        (credentials->have_keys && now - credentials->read_ms < READ_AGAIN_MS))
        return 0;
    if (keys_of_profile(&credentials->keys, err) < 0)
        return credentials->have_keys ? 0 : -1;
    credentials->have_keys = true;
    credentials->read_ms = now;
    return 0;
}

int aws_credentials_get(struct aws_credentials *credentials, struct aws_keys *ret,
                        struct error *err)
{
    AUTO_LOCK(&credentials->mutex);

    if (renew(credentials, err) < 0)
        return -1;
    *ret = credentials->keys;
    return 0;
}

static int take_region(char **ret, const char *text, const char *where, struct error *err)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (text[n] || n > 64)
        return error_fatal(err, EXIT_CONFIGURATION, "%s: \"%.80s\" is no region", where, text);
    *ret = xstrdup(text);
    return 0;
}

int aws_credentials_region(char **ret, const struct config *c, struct error *err)
{
    AUTO(aws_profile_release) struct aws_profile p = {0};

    if (given(config_string(c, "source.region")))
        return take_region(ret, config_string(c, "source.region"), "source.region", err);
    if (given(getenv("AWS_REGION")))
        return take_region(ret, getenv("AWS_REGION"), "AWS_REGION", err);
    if (given(getenv("AWS_DEFAULT_REGION")))
        return take_region(ret, getenv("AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION", err);
    if (aws_profile_read(&p, err) < 0)
        return -1;
    if (p.region)
        return take_region(ret, p.region, p.name, err);
    *ret = NULL;
    return 0;
}

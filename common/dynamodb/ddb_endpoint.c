#include "common/dynamodb/ddb_endpoint.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/check.h"
#include "common/base/exit_code.h"

struct choice {
    const char *url;
    const char *where; /* who says so */
    bool for_both;
};

static bool given_text(const char *text)
{
    return text && *text;
}

static struct choice choose(enum ddb_service service, const char *given)
{
    const char *variable = service == DDB_STREAMS ? "AWS_ENDPOINT_URL_DYNAMODB_STREAMS"
                                                  : "AWS_ENDPOINT_URL_DYNAMODB";

    if (given_text(given))
        return (struct choice){given, "source.endpoint_url", true};
    if (given_text(getenv(variable)))
        return (struct choice){getenv(variable), variable, false};
    if (given_text(getenv("AWS_ENDPOINT_URL")))
        return (struct choice){getenv("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL", true};
    return (struct choice){0};
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_amazons_tables_host(const char *host)
{
    bool dynamodb =
        strncmp(host, "dynamodb.", 9) == 0 || strncmp(host, "dynamodb-fips.", 14) == 0;

    return dynamodb &&
           (ends_with(host, ".amazonaws.com") || ends_with(host, ".amazonaws.com.cn") ||
            ends_with(host, ".api.aws") || ends_with(host, ".api.amazonwebservices.com.cn"));
}

static void url_cleanup(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void free_part(char **p)
{
    curl_free(*p);
}

/* NULL when the URL has no such part; the scheme's own port is none. */
static char *part_of(CURLU *u, CURLUPart part)
{
    char *text = NULL;

    return curl_url_get(u, part, &text, CURLU_NO_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

/* The signature covers "/" alone, and a user's password would end in logs. */
static bool has_too_much(CURLU *u)
{
    AUTO(free_part) char *path = part_of(u, CURLUPART_PATH);
    AUTO(free_part) char *query = part_of(u, CURLUPART_QUERY);
    AUTO(free_part) char *fragment = part_of(u, CURLUPART_FRAGMENT);
    AUTO(free_part) char *user = part_of(u, CURLUPART_USER);
    AUTO(free_part) char *password = part_of(u, CURLUPART_PASSWORD);

    return (path && strcmp(path, "/") != 0) || query || fragment || user || password;
}

static int build(struct ddb_endpoint *ret, CURLU *u, bool move_to_streams)
{
    AUTO(free_part) char *scheme = part_of(u, CURLUPART_SCHEME);
    AUTO(free_part) char *host = part_of(u, CURLUPART_HOST);
    AUTO(free_part) char *port = part_of(u, CURLUPART_PORT);
    const char *prefix;

    if (!scheme || !host || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return -1;
    prefix = move_to_streams && is_amazons_tables_host(host) ? "streams." : "";
    ret->host = xasprintf("%s%s%s%s", prefix, host, port ? ":" : "", port ? port : "");
    ret->url = xasprintf("%s://%s/", scheme, ret->host);
    return 0;
}

static int of_choice(struct ddb_endpoint *ret, const struct choice *c, enum ddb_service service,
                     struct error *err)
{
    AUTO(url_cleanup) CURLU *u = curl_url();

    CHECK(u);
    if (curl_url_set(u, CURLUPART_URL, c->url, 0) != CURLUE_OK || has_too_much(u) ||
        build(ret, u, service == DDB_STREAMS && c->for_both) < 0)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "%s: an endpoint is http://HOST:PORT or https://HOST, without path, "
                           "query, user or password",
                           c->where);
    return 0;
}

static int of_region(struct ddb_endpoint *ret, enum ddb_service service, const char *region,
                     struct error *err)
{
    if (!region)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "no region: set source.region or AWS_REGION, or an endpoint by "
                           "source.endpoint_url");
    ret->host =
        xasprintf("%sdynamodb.%s.amazonaws.com%s", service == DDB_STREAMS ? "streams." : "",
                  region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    ret->url = xasprintf("https://%s/", ret->host);
    return 0;
}

int ddb_endpoint_find(struct ddb_endpoint *ret, enum ddb_service service, const char *given,
                      const char *region, struct error *err)
{
    struct choice c = choose(service, given);

    return c.url ? of_choice(ret, &c, service, err) : of_region(ret, service, region, err);
}

void ddb_endpoint_release(struct ddb_endpoint *e)
{
    free_charp(&e->url);
    free_charp(&e->host);
}

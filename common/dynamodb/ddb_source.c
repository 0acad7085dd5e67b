#include "common/dynamodb/ddb_source.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/mutation.h"
#include "common/dynamodb/aws_sigv4.h"
#include "common/dynamodb/http.h"

#define SKEW_LARGE_MS 300000 /* it is told; the service refuses signatures of 15 minutes */
#define SKEW_GONE_MS 240000
/* 2200: a time that can be signed, and a clock that can be meant */
#define LATEST_S 7258118400

/* An emulator on this machine takes any region; Amazon's endpoints must be signed for theirs.
 */
static int find_region(struct ddb_source *s, const struct config *c, struct error *err)
{
    if (aws_credentials_region(&s->region, c, err) < 0)
        return -1;
    for (int service = DDB_TABLES; service <= DDB_STREAMS; service++)
        if (ddb_endpoint_find(&s->endpoints[service], service,
                              config_string(c, "source.endpoint_url"), s->region, err) < 0)
            return -1;
    if (!s->region && !http_is_loopback(s->endpoints[DDB_TABLES].url))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "no region to sign for: set source.region or AWS_REGION");
    if (!s->region)
        s->region = xstrdup("us-east-1");
    return 0;
}

static void choose_gzip(struct ddb_source *s, const char *setting)
{
    for (int service = DDB_TABLES; service <= DDB_STREAMS; service++)
        s->gzip[service] =
            strcmp(setting, "on") == 0 ||
            (strcmp(setting, "auto") == 0 && !http_is_loopback(s->endpoints[service].url));
}

int ddb_source_new(struct ddb_source **ret, const struct config *c, struct error *err)
{
    AUTO(ddb_source_freep) struct ddb_source *s = xcalloc(1, sizeof(*s));

    if (!aws_sigv4_works())
        return error_fatal(err, EXIT_CONFIGURATION,
                           "OpenSSL has no SHA-256 to sign with (see its openssl.cnf)");
    if (find_region(s, c, err) < 0 || aws_credentials_new(&s->credentials, c, err) < 0)
        return -1;
    choose_gzip(s, config_string(c, "source.gzip"));
    *ret = TAKE(s);
    return 0;
}

void ddb_source_free(struct ddb_source *s)
{
    if (!s)
        return;
    aws_credentials_free(s->credentials);
    ddb_endpoint_release(&s->endpoints[DDB_TABLES]);
    ddb_endpoint_release(&s->endpoints[DDB_STREAMS]);
    free(s->region);
    free(s);
}

/* ---- the service's time ---- */

int64_t ddb_source_skew_ms(const struct ddb_source *s)
{
    return atomic_load(&s->skew_ms);
}

int64_t ddb_source_now_ms(const struct ddb_source *s)
{
    return clock_wall_ms() + (MUTATED(service_time) ? 0 : ddb_source_skew_ms(s));
}

enum ddb_source_skew_news ddb_source_skew_news(struct ddb_source *s, int64_t *ret_skew_ms)
{
    int64_t skew = ddb_source_skew_ms(s), size = skew < 0 ? -skew : skew;
    bool told = size > SKEW_GONE_MS;

    *ret_skew_ms = skew;
    if (size <= SKEW_LARGE_MS && told) /* between the two nothing is news */
        return DDB_SKEW_SAME;
    if (atomic_exchange(&s->skew_told, told) == told)
        return DDB_SKEW_SAME;
    return told ? DDB_SKEW_LARGE : DDB_SKEW_GONE;
}

/* Date tells the second in which the answer was made, some time between the request and now.
 * So it allows a range of skews: one inside stays as it is, and seconds, slow answers and
 * answers that overtake each other move nothing; one outside goes to the range's nearer end. */
int64_t ddb_source_skew_by_answer(int64_t skew_ms, int64_t date_ms, int64_t asked_ms,
                                  int64_t answered_ms)
{
    int64_t least = date_ms - answered_ms, most = date_ms + 999 - asked_ms;

    return skew_ms < least ? least : skew_ms > most ? most : skew_ms;
}

/* How long the request took is measured by a clock that nobody sets. */
bool ddb_source_take_time(struct ddb_source *s, const char *date, int64_t asked_mono_ms)
{
    time_t service = date[0] ? curl_getdate(date, NULL) : -1;
    int64_t now = clock_wall_ms(), asked = now - (clock_mono_ms() - asked_mono_ms);
    long long skew = atomic_load(&s->skew_ms);

    if (service < 0 || service > LATEST_S)
        return false;
    while (!atomic_compare_exchange_weak(
        &s->skew_ms, &skew,
        ddb_source_skew_by_answer(skew, (int64_t)service * 1000, asked, now)))
        ;
    return true;
}

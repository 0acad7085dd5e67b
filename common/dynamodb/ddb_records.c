/* common/dynamodb/ddb_records.c - reads GetRecords' answer in one pass; a record's members come
 * in any order, so it is handed on when its end was seen. */
#include "common/dynamodb/ddb_records.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/dynamodb/ddb_read.h"
#include "common/dynamodb/ddb_sequence.h"
#include "common/json/json_text.h"

#define SECONDS_AT_MOST 1e11 /* the year 5138: past it, it is not seconds */

/* ---- times ---- */

static int64_t ms_of_seconds(struct bytes text)
{
    char digits[64];
    double seconds;

    if (text.len >= sizeof(digits))
        return -1;
    memcpy(digits, text.p, text.len);
    digits[text.len] = '\0';
    seconds = strtod(digits, NULL);
    return seconds >= 0 && seconds < SECONDS_AT_MOST ? llround(seconds * 1000) : -1;
}

/* ".25" in ms; *at moves behind it. */
static int fraction_ms(const char **at)
{
    int ms = 0, weight = 100;

    if (**at != '.')
        return 0;
    for ((*at)++; isdigit((unsigned char)**at); (*at)++) {
        ms += (**at - '0') * weight;
        weight /= 10;
    }
    return ms;
}

/* "Z", "+01:00" or nothing, which is UTC here. false: something else. */
static bool zone_seconds(const char *at, int *ret)
{
    int hours, minutes, n = 0;

    *ret = 0;
    if (!*at || strcmp(at, "Z") == 0)
        return true;
    if (sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || at[1 + n])
        return false;
    *ret = (hours * 60 + minutes) * 60 * (*at == '-' ? -1 : 1);
    return *at == '-' || *at == '+';
}

static int64_t ms_of_iso(struct bytes text)
{
    char copy[64];
    const char *at;
    struct tm tm = {0};
    int ms, zone;

    if (text.len >= sizeof(copy))
        return -1;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    at = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!at)
        return -1;
    ms = fraction_ms(&at);
    if (!zone_seconds(at, &zone) || timegm(&tm) < 0)
        return -1;
    return ((int64_t)timegm(&tm) - zone) * 1000 + ms;
}

static int64_t read_time(struct json_reader *r)
{
    struct bytes text;

    switch (json_peek(r)) {
    case JSON_NUMBER:
        return json_number(r, &text) ? ms_of_seconds(text) : -1;
    case JSON_STRING:
        return json_string(r, &text) ? ms_of_iso(text) : -1;
    default:
        json_skip(r, NULL);
        return -1;
    }
}

/* ---- one record ---- */

/* The documentation writes the members with small letters, the service's model with capitals.
 */
static bool read_identity_is_ttl(struct json_reader *r)
{
    bool service = false, dynamodb = false;
    struct bytes member, text;

    if (json_peek(r) != JSON_OBJECT)
        return json_skip(r, NULL) && false;
    json_object_begin(r);
    while (json_object_next(r, &member)) {
        bool type =
            json_raw_is(member, BYTES_LIT("type")) || json_raw_is(member, BYTES_LIT("Type"));
        bool principal = json_raw_is(member, BYTES_LIT("principalId")) ||
                         json_raw_is(member, BYTES_LIT("PrincipalId"));

        if (json_peek(r) != JSON_STRING || (!type && !principal))
            json_skip(r, NULL);
        else if (!json_string(r, &text))
            return false; /* the reader has failed, and with it the answer */
        else if (type)
            service = json_raw_is(text, BYTES_LIT("Service"));
        else
            dynamodb = json_raw_is(text, BYTES_LIT("dynamodb.amazonaws.com"));
    }
    return service && dynamodb;
}

static char event_of(struct bytes name)
{
    if (json_raw_is(name, BYTES_LIT("INSERT")))
        return 'I';
    if (json_raw_is(name, BYTES_LIT("MODIFY")))
        return 'M';
    return json_raw_is(name, BYTES_LIT("REMOVE")) ? 'R' : '\0';
}

/* The "dynamodb" object. */
static int read_change(struct ddb_record *rec, struct json_reader *r,
                       const struct key_schema *schema, struct error *err)
{
    struct bytes member;

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("NewImage")))
            json_fields_read_object(r, &rec->new_image, err);
        else if (json_raw_is(member, BYTES_LIT("OldImage")))
            json_fields_read_object(r, &rec->old_image, err);
        else if (json_raw_is(member, BYTES_LIT("SequenceNumber")))
            json_string(r, &rec->sequence);
        else if (json_raw_is(member, BYTES_LIT("ApproximateCreationDateTime")))
            rec->created_ms = read_time(r);
        else if (!json_raw_is(member, BYTES_LIT("Keys")))
            json_skip(r, NULL);
        else if (ddb_item_read(&rec->keys, r, schema, err) < 0)
            return -1;
    }
    return 0;
}

static int read_record_members(struct ddb_record *rec, struct json_reader *r,
                               const struct key_schema *schema, struct error *err)
{
    struct bytes member, text = {0};

    json_object_begin(r);
    while (json_object_next(r, &member)) {
        if (json_raw_is(member, BYTES_LIT("eventName")))
            json_string(r, &text);
        else if (json_raw_is(member, BYTES_LIT("userIdentity")))
            rec->ttl = read_identity_is_ttl(r);
        else if (!json_raw_is(member, BYTES_LIT("dynamodb")))
            json_skip(r, NULL);
        else if (read_change(rec, r, schema, err) < 0)
            return -1;
    }
    rec->event = event_of(text);
    rec->ttl = rec->ttl && rec->event == 'R';
    return 0;
}

static int read_record(struct ddb_record *ret, struct json_reader *r,
                       const struct key_schema *schema, struct error *err)
{
    struct ddb_record rec = {.created_ms = -1};

    if (read_record_members(&rec, r, schema, err) < 0)
        return ddb_read_is_wrong(err);
    if (json_failed(r))
        return ddb_read_failed(r, err);
    if (!rec.event)
        return ddb_read_lacks("eventName that is known", err);
    if (!ddb_sequence_is_legal(rec.sequence))
        return ddb_read_lacks("SequenceNumber of digits", err);
    if (!rec.keys.json.len)
        return ddb_read_lacks("Keys of a record", err);
    *ret = rec;
    return 0;
}

/* ---- the answer ---- */

struct record_calls {
    const struct key_schema *schema;
    int (*each)(void *arg, const struct ddb_record *rec, struct error *err);
    void *arg;
};

static int read_records(struct json_reader *r, const struct record_calls *calls,
                        struct error *err)
{
    json_array_begin(r);
    while (json_array_next(r)) {
        struct ddb_record rec;

        if (read_record(&rec, r, calls->schema, err) < 0 ||
            calls->each(calls->arg, &rec, err) < 0)
            return -1;
    }
    return 0; /* or the reader failed, which stays */
}

/* An escape in it would be one escape too many in the next request. */
static int check_iterator(struct bytes raw, struct error *err)
{
    return raw.len && memchr(raw.p, '\\', raw.len)
               ? ddb_read_lacks("NextShardIterator without escapes", err)
               : 0;
}

int ddb_records_each(struct bytes answer, const struct key_schema *schema,
                     int (*each)(void *arg, const struct ddb_record *rec, struct error *err),
                     void *arg, struct bytes *ret_next, struct error *err)
{
    const struct record_calls calls = {schema, each, arg};
    struct bytes member, next = {0};
    struct json_reader r;
    bool any = false;

    json_reader_init(&r, answer);
    json_object_begin(&r);
    while (json_object_next(&r, &member)) {
        if (json_raw_is(member, BYTES_LIT("Records"))) {
            if (any)
                return ddb_read_lacks("single Records", err);
            if (read_records(&r, &calls, err) < 0)
                return -1;
            any = true;
        } else if (json_raw_is(member, BYTES_LIT("NextShardIterator")) &&
                   json_peek(&r) != JSON_NULL) {
            json_string(&r, &next);
        } else {
            json_skip(&r, NULL);
        }
    }
    if (!json_end(&r))
        return ddb_read_failed(&r, err);
    if (!any) /* taken for an empty answer it would close the shard */
        return ddb_read_lacks("Records", err);
    if (check_iterator(next, err) < 0)
        return -1;
    *ret_next = next;
    return 0;
}

int ddb_records_get(struct http_answer *ret, struct ddb_client *client, const char *iterator,
                    int64_t limit, struct error *err)
{
    AUTO(buf_release) struct buf body = {.ceiling = DDB_CLIENT_REQUEST_AT_MOST};

    buf_lit(&body, "{\"ShardIterator\":");
    json_stringify(&body, bytes_of(iterator));
    if (limit > 0)
        buf_printf(&body, ",\"Limit\":%" PRId64, limit);
    buf_char(&body, '}');
    return ddb_client_call(client, DDB_STREAMS, "GetRecords", buf_slice(&body), ret, err);
}

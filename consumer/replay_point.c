#include "consumer/replay_point.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/auto.h"

/* ---- the text ---- */

/* Exactly so many digits. */
static bool take_digits(const char **at, int count, int *ret)
{
    int value = 0;

    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool take_char(const char **at, const char *allowed)
{
    if (!**at || !strchr(allowed, **at))
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    bool leap;

    if (!take_digits(at, 4, &year) || !take_char(at, "-") || !take_digits(at, 2, &month) ||
        !take_char(at, "-") || !take_digits(at, 2, &day))
        return false;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days[month - 1] ||
        (month == 2 && day == 29 && !leap))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    return true;
}

static bool take_clock(const char **at, struct tm *tm, int *ret_ms)
{
    int unit = 100;

    if (!take_digits(at, 2, &tm->tm_hour) || !take_char(at, ":") ||
        !take_digits(at, 2, &tm->tm_min) || !take_char(at, ":") ||
        !take_digits(at, 2, &tm->tm_sec))
        return false;
    *ret_ms = 0;
    if (take_char(at, ".")) {
        if (!isdigit((unsigned char)**at))
            return false;
        for (; isdigit((unsigned char)**at); (*at)++, unit /= 10)
            *ret_ms += (**at - '0') * unit;
    }
    return tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

static bool take_zone(const char **at, int64_t *ret_ms)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;

    *ret_ms = 0;
    if (take_char(at, "Zz"))
        return true;
    if (!take_char(at, "+-") || !take_digits(at, 2, &hours) || !take_char(at, ":") ||
        !take_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_ms = sign * (hours * 60 + minutes) * INT64_C(60000);
    return true;
}

/* RFC 3339. */
static bool parse_time(int64_t *ret, const char *text)
{
    struct tm tm = {0};
    int64_t zone_ms;
    int ms;

    if (!take_date(&text, &tm) || !take_char(&text, "Tt ") || !take_clock(&text, &tm, &ms) ||
        !take_zone(&text, &zone_ms) || *text)
        return false;
    *ret = (int64_t)timegm(&tm) * 1000 + ms - zone_ms;
    return true;
}

static bool parse_number(int64_t *ret, const char *text, size_t length, int64_t max)
{
    AUTO(free_charp) char *digits = xstrndup(text, length);
    long long value;

    errno = 0;
    value = strtoll(digits, NULL, 10);
    if (!*digits || digits[strspn(digits, "0123456789")] || errno || value > max)
        return false;
    *ret = value;
    return true;
}

static bool parse_place(struct replay_point *ret, const char *text)
{
    const char *colon = strchr(text, ':');
    int64_t partition;

    if (!colon || !parse_number(&partition, text, (size_t)(colon - text), INT32_MAX) ||
        !parse_number(&ret->offset, colon + 1, strlen(colon + 1), INT64_MAX))
        return false;
    ret->partition = (int32_t)partition;
    return true;
}

bool replay_point_parse(struct replay_point *ret, const char *text)
{
    struct replay_point point = {.kind = REPLAY_FROM_BEGINNING};

    if (strcmp(text, "beginning") == 0)
        point.kind = REPLAY_FROM_BEGINNING;
    else if (parse_time(&point.time_ms, text))
        point.kind = REPLAY_FROM_TIME;
    else if (parse_place(&point, text))
        point.kind = REPLAY_FROM_OFFSET;
    else
        return false;
    *ret = point;
    return true;
}

/* ---- a partition ---- */

static int64_t asked_for(const struct replay_point *point, const struct replay_place *place)
{
    switch (point->kind) {
    case REPLAY_FROM_TIME:
        return place->at_time;
    case REPLAY_FROM_OFFSET:
        return point->partition == place->partition ? point->offset : POSITION_NONE;
    case REPLAY_FROM_BEGINNING:
        break;
    }
    return place->begin;
}

static bool has_position(const struct replay_place *place)
{
    const struct position_doc *doc = &place->doc;

    return doc->found && doc->offset != POSITION_NONE &&
           strcmp(doc->log_id, place->log_id) == 0;
}

static const char *why_nothing(const struct position_doc *doc, int64_t from)
{
    if (from == POSITION_NONE)
        return "it has no record since then";
    if (from >= doc->offset)
        return "what was asked for is still to be applied";
    if (doc->rewind != POSITION_NONE && from >= doc->rewind)
        return "it is about to go back further";
    return NULL;
}

/* Were there records since that time that the log has no more? Of the ones before the first
 * that is left nobody knows the time. */
static bool time_is_lost(const struct replay_place *place, int64_t begin)
{
    if (place->low <= begin)
        return false;
    return place->at_time == POSITION_NONE ? place->low >= place->doc.offset
                                           : place->at_time <= place->low;
}

enum replay_verdict replay_point_judge(const struct replay_point *point,
                                       const struct replay_place *place, int64_t *ret,
                                       const char **ret_why)
{
    int64_t begin = MAX(place->begin, place->doc.begin); /* the ledger may be read late */
    int64_t asked = asked_for(point, place);
    int64_t from = asked == POSITION_NONE ? POSITION_NONE : MAX(asked, begin);

    *ret_why = NULL;
    if (point->kind == REPLAY_FROM_OFFSET && point->partition != place->partition)
        *ret_why = "it is not the partition that was named";
    else if (!has_position(place))
        *ret_why = "it has no position yet: it starts at the newest begin anyway";
    else if (point->kind == REPLAY_FROM_TIME && time_is_lost(place, begin))
        return REPLAY_LOST;
    else
        *ret_why = why_nothing(&place->doc, from);
    if (*ret_why)
        return REPLAY_NOTHING;
    *ret = from;
    return from < place->low ? REPLAY_LOST : REPLAY_GO_BACK;
}

bool replay_point_is_back(const struct position_doc *then, const struct position_doc *now)
{
    bool another_log = now->offset != POSITION_NONE && strcmp(now->log_id, then->log_id) != 0;

    return now->found && now->rewind == POSITION_NONE &&
           (another_log || now->offset >= then->offset);
}

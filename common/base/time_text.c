#include "common/base/time_text.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

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

bool time_text_read(int64_t *ret, const char *text)
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

void time_text_write(char ret[TIME_TEXT_SIZE], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* common/base/alarm.h - when it is worth a line in the log that time runs out: once per hour
 * while little is left, and at once when it becomes serious. Pure: the times are given. */
#pragma once

#include <stdint.h>

#define ALARM_AGAIN_MS (3600 * 1000LL)

enum alarm_level {
    ALARM_NONE,
    ALARM_WARN,
    ALARM_ERROR
};

struct alarm { /* {0}: nothing was said yet */
    enum alarm_level said;
    int64_t said_ms;
};

/* left: until it is too late; below warn_below and error_below it is said. now_ms: monotonic.
 * ALARM_NONE: there is nothing to say now. */
enum alarm_level alarm_look(struct alarm *alarm, int64_t left, int64_t warn_below,
                            int64_t error_below, int64_t now_ms);

#include "common/base/alarm.h"

enum alarm_level alarm_look(struct alarm *alarm, int64_t left, int64_t warn_below,
                            int64_t error_below, int64_t now_ms)
{
    enum alarm_level level = left < error_below  ? ALARM_ERROR
                             : left < warn_below ? ALARM_WARN
                                                 : ALARM_NONE;

    if (level == ALARM_NONE ||
        (level <= alarm->said && now_ms - alarm->said_ms < ALARM_AGAIN_MS))
        return ALARM_NONE;
    alarm->said = level;
    alarm->said_ms = now_ms;
    return level;
}

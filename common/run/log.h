/* common/run/log.h - one line per event, key=value or JSON, on stderr or log.file.
 *
 * Only loops that decide log; library code returns its error. Any thread; a line is written
 * whole. Secrets are never passed here. A line longer than 4,000 bytes is cut. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

/* path NULL or "": stderr. json: one JSON object a line. Returns -1 when the file can't be
 * opened. */
int log_open(const char *path, enum log_level level, bool json, const char *program,
             struct error *err);
/* Also takes the line at the bottom of the terminal away (bottom_line.h). */
void log_close(void);
/* A value of log.level; anything else: info. */
enum log_level log_level_of(const char *name);
bool log_enabled(enum log_level level);
/* Lines stand on standard error. */
bool log_is_on_stderr(void);

/* log_event(LOG_LEVEL_INFO, "snapshot ended", "table=%s rows=%" PRId64, name, rows): fields is
 * a printf format of key=value pairs separated by single spaces. A value with other characters
 * than [A-Za-z0-9_.:/@+-] is put in quotes and escaped (so values may hold spaces). NULL: no
 * fields. */
void log_event(enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_event(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__)

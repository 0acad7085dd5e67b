#include "status/status_options.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/base/time_text.h"

#define DAYS 86400
#define WATCH_MS 2000

struct config_extra status_options_extras[] = {
    {.name = "table", .letter = 't', .wanted = "TABLE", .help = "Only this table."},
    {.name = "shards", .letter = 's', .form = CONFIG_FLAG, .help = "Each shard, too."},
    {.name = "watch",
     .letter = 'w',
     .form = CONFIG_MAY_TAKE_VALUE,
     .wanted = "SECONDS",
     .fallback = "2",
     .help = "Look again and again, every so many seconds, decimals allowed."},
    {.name = "json",
     .letter = 'j',
     .form = CONFIG_FLAG,
     .help = "A line of JSON per look (schemas/status.schema.json)."},
    {.name = "max-lag",
     .wanted = "SECONDS",
     .help =
         "Exit code 1 unless the target holds all that was written so many seconds ago. The "
         "producers are asked, for up to 20 seconds."},
    {.name = "wait-for",
     .wanted = "now|TIME",
     .help = "Wait until the target provably holds everything that was written to the source "
             "before this time (2026-01-31T12:00:00Z, by the source's clock)."},
    {.name = "timeout",
     .wanted = "SECONDS",
     .help = "Of --wait-for: give up after so many seconds, with exit code 1."},
    {0},
};

static int read_wait(struct status_options *options, const struct config_extra *extras,
                     struct error *err)
{
    const char *value = config_extra_value(extras, "wait-for");

    options->waits = value != NULL;
    options->before_ms = -1;
    if (!value || strcmp(value, "now") == 0)
        return 0;
    return time_text_read(&options->before_ms, value)
               ? 0
               : config_extra_refuse(extras, "wait-for",
                                     "now, or a time such as 2026-01-31T12:00:00Z", err);
}

static int read_watch(struct status_options *options, const struct config_extra *extras,
                      struct error *err)
{
    const char *value = config_extra_value(extras, "watch");

    if (!value)
        return 0;
    options->watch_ms = WATCH_MS;
    return *value ? config_extra_ms(extras, "watch", DAYS, &options->watch_ms, err) : 0;
}

static int check(const struct status_options *options, const struct config_extra *extras,
                 struct error *err)
{
    if (config_extra_value(extras, "watch") && options->watch_ms <= 0)
        return config_extra_refuse(extras, "watch", "more than 0 seconds", err);
    if (options->waits && (options->watch_ms > 0 || options->max_lag_ms >= 0))
        return error_fatal(err, EXIT_USAGE_ERROR,
                           "--wait-for goes neither with --watch nor with --max-lag");
    if (options->watch_ms > 0 && options->max_lag_ms >= 0)
        return error_fatal(err, EXIT_USAGE_ERROR, "--max-lag does not go with --watch");
    if (options->timeout_ms > 0 && !options->waits)
        return error_fatal(err, EXIT_USAGE_ERROR, "--timeout is of --wait-for");
    return 0;
}

int status_options_read(struct status_options *ret, const struct config_extra *extras,
                        struct error *err)
{
    struct status_options options = {.max_lag_ms = -1};

    options.table = config_extra_value(extras, "table");
    options.shards = config_extra_value(extras, "shards");
    options.json = config_extra_value(extras, "json");
    if (read_watch(&options, extras, err) < 0 || read_wait(&options, extras, err) < 0 ||
        config_extra_ms(extras, "max-lag", 30 * DAYS, &options.max_lag_ms, err) < 0 ||
        config_extra_ms(extras, "timeout", 30 * DAYS, &options.timeout_ms, err) < 0 ||
        check(&options, extras, err) < 0)
        return -1;
    *ret = options;
    return 0;
}

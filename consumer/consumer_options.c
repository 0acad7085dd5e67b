#include "consumer/consumer_options.h"

#include <stdlib.h>

#include "common/base/exit_code.h"

#define UNTIL_IDLE_MAX (365 * 24 * 3600) /* seconds */

struct config_extra consumer_options_extras[] = {
    {.name = "until-idle",
     .wanted = "SECONDS",
     .help = "End when everything was applied and nothing came for so many seconds, with exit "
             "code 1 when a partition is halted."},
    {.name = "replay",
     .wanted = "TABLE",
     .help = "Have the log of this table applied again from what --from says. The consumers "
             "that run do it; this one only sets their positions back, and ends."},
    {.name = "from",
     .wanted = "POINT",
     .help = "For --replay: beginning (of the newest generation), a time of RFC 3339 such as "
             "2026-01-31T12:00:00Z, or PARTITION:OFFSET."},
    {.name = "replay-dead-letters",
     .form = CONFIG_MAY_TAKE_VALUE,
     .wanted = "[TABLE]",
     .help = "Have the items of all dead letters (of this table) read again by the producer, "
             "which appends them as they are now. Exit code 1 when letters are left."},
    {.name = "adopt-restored",
     .form = CONFIG_FLAG,
     .help = "After a dump that was taken with its oplog was restored, together with its "
             "positions: go on from them. No consumer of this target may run meanwhile."},
    {.name = "wait",
     .form = CONFIG_FLAG,
     .help = "For --replay: end when everything was applied again."},
    {0}};

static int usage(struct error *err, const char *text)
{
    return error_fatal(err, EXIT_USAGE_ERROR, "%s", text);
}

/* What is done by hand: one thing at a time. */
struct tasks {
    const char *replay;
    const char *letters;
    const char *adopt;
};

static int check_together(const struct consumer_options *options, const struct tasks *tasks,
                          const char *from, struct error *err)
{
    int count = !!tasks->replay + !!tasks->letters + !!tasks->adopt;

    if (count > 1)
        return usage(err,
                     "only one of --replay, --replay-dead-letters, --adopt-restored at a time");
    if (tasks->replay && !from)
        return usage(err, "--replay needs --from");
    if (!tasks->replay && (from || options->wait))
        return usage(err, "--from and --wait belong to --replay");
    if (count > 0 && options->until_idle_ms >= 0)
        return usage(err, "--until-idle does not go with --replay, --replay-dead-letters, "
                          "--adopt-restored");
    return 0;
}

static enum consumer_task task_of(const struct tasks *tasks)
{
    if (tasks->replay)
        return CONSUMER_REPLAYS;
    if (tasks->letters)
        return CONSUMER_REPLAYS_LETTERS;
    return tasks->adopt ? CONSUMER_ADOPTS_RESTORED : CONSUMER_APPLIES;
}

int consumer_options_read(struct consumer_options *ret, const struct config_extra *extras,
                          struct error *err)
{
    const struct tasks tasks = {.replay = config_extra_value(extras, "replay"),
                                .letters = config_extra_value(extras, "replay-dead-letters"),
                                .adopt = config_extra_value(extras, "adopt-restored")};
    const char *replay = tasks.replay, *letters = tasks.letters;
    const char *from = config_extra_value(extras, "from");
    struct consumer_options options = {.wait = config_extra_value(extras, "wait") != NULL,
                                       .until_idle_ms = -1};

    if (config_extra_ms(extras, "until-idle", UNTIL_IDLE_MAX, &options.until_idle_ms, err) <
            0 ||
        check_together(&options, &tasks, from, err) < 0)
        return -1;
    if (replay && !*replay)
        return config_extra_refuse(extras, "replay", "names of tables", err);
    if (from && !replay_point_parse(&options.from, from))
        return config_extra_refuse(extras, "from", REPLAY_POINT_ALLOWED, err);
    options.task = task_of(&tasks);
    options.table = replay ? replay : letters && *letters ? letters : NULL;
    *ret = options;
    return 0;
}

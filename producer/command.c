#include "producer/command.h"

#include <stdlib.h>

#include "common/base/exit_code.h"

#define TAKES "TABLE"
#define TAKE_OVER "take-over-nimoshake"

struct config_extra command_extras[] = {
    {.name = "resnapshot",
     .wanted = TAKES,
     .help = "Ask for a new generation of the table: it is copied again, in place. Like the "
             "next three: the producer that carries the table acts; this one carries no tables "
             "and ends with exit code 0 when the request was taken, 1 when it was refused, 69 "
             "when no producer took it within start.timeout."},
    {.name = "pause",
     .wanted = TAKES,
     .help = "Ask that the table is not read until --resume."},
    {.name = "resume",
     .wanted = TAKES,
     .help = "Ask that a paused table goes on; one that halted at a gap goes on with a new "
             "generation."},
    {.name = "forget",
     .wanted = TAKES,
     .help =
         "Ask that the ledger forgets a table that was deleted. Its topic and its documents "
         "stay: what removes them is printed."},
    {.name = "wait",
     .form = CONFIG_FLAG,
     .help =
         "With one of these: end when it is done, not when it was taken. For --resnapshot: "
         "when the table was copied. Ends with exit code 1 and the reason when the table is "
         "halted and does not come to that by itself."},
    {.name = "reason",
     .wanted = "TEXT",
     .help = "With one of these: why, for the log and the ledger."},
    {.name = TAKE_OVER,
     .wanted = "URI",
     .key = "target.address",
     .scheme = "mongodb://",
     .help =
         "Go on where a stopped NimoShake was, whose checkpoints are in the database "
         "checkpoint.db of this MongoDB: a table that was never carried begins without a copy, "
         "if its shards still hold all that NimoShake has not read; else it is copied. Its "
         "checkpoints are moved aside, to collections named nimoshake:TABLE."},
    {0}};

static const struct flag {
    const char *name;
    enum table_signal_type type;
} flags[] = {
    {"resnapshot", TABLE_SIGNAL_SNAPSHOT},
    {"pause", TABLE_SIGNAL_PAUSE},
    {"resume", TABLE_SIGNAL_RESUME},
    {"forget", TABLE_SIGNAL_FORGET},
};

#define ALL_FLAGS "--resnapshot, --pause, --resume, --forget"

int command_read(struct command *ret, const struct config_extra *extras, struct error *err)
{
    struct command command = {.reason = config_extra_value(extras, "reason"),
                              .wait = config_extra_value(extras, "wait") != NULL};

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const char *table = config_extra_value(extras, flags[i].name);

        if (!table)
            continue;
        if (command.table)
            return error_fatal(err, EXIT_USAGE_ERROR, "only one of " ALL_FLAGS " at a time");
        if (!*table)
            return config_extra_refuse(extras, flags[i].name, "names of tables", err);
        command.table = table;
        command.type = flags[i].type;
    }
    if (!command.table && (command.wait || command.reason))
        return error_fatal(err, EXIT_USAGE_ERROR, "--wait and --reason belong to " ALL_FLAGS);
    if (!command.table)
        return 0;
    if (command_takes_over(extras))
        return error_fatal(err, EXIT_USAGE_ERROR,
                           "--" TAKE_OVER " is for the producer that carries the tables");
    *ret = command;
    return 1;
}

bool command_takes_over(const struct config_extra *extras)
{
    return config_extra_given(extras, TAKE_OVER);
}

/* ---- when it is done ---- */

/* Nothing goes on by itself, but for looks at it now and then. */
static bool is_halted(const struct ledger_table *record)
{
    switch (record->phase) {
    case PHASE_SNAPSHOT:
    case PHASE_TAIL:
        return false;
    case PHASE_GAP:
        return !record->renew;
    case PHASE_GONE:
    case PHASE_FAILED:
        return !record->retry;
    case PHASE_PAUSED:
        break;
    }
    return true;
}

static enum command_progress new_generation(const struct ledger_table *record, int64_t asked)
{
    if (record->generation > asked && (record->finished_ms > 0 || !record->rows))
        return COMMAND_DONE;
    return is_halted(record) ? COMMAND_STUCK : COMMAND_UNDER_WAY;
}

static enum command_progress going_on(const struct ledger_table *record)
{
    if (record->phase == PHASE_SNAPSHOT || record->phase == PHASE_TAIL)
        return COMMAND_DONE;
    return is_halted(record) ? COMMAND_STUCK : COMMAND_UNDER_WAY;
}

/* The mark that was taken is dropped when the table is there again. */
static enum command_progress forgetting(const struct ledger_table *record, bool placed)
{
    if (record && !record->forget)
        return COMMAND_STUCK;
    return record || placed ? COMMAND_UNDER_WAY : COMMAND_DONE;
}

enum command_progress command_progress(const struct command *command,
                                       const struct ledger_table *record, bool placed,
                                       int64_t asked)
{
    if (command->type == TABLE_SIGNAL_FORGET)
        return forgetting(record, placed);
    if (!record)
        return COMMAND_STUCK;
    switch (command->type) {
    case TABLE_SIGNAL_SNAPSHOT:
        return new_generation(record, asked);
    case TABLE_SIGNAL_PAUSE:
        return record->phase == PHASE_PAUSED ? COMMAND_DONE
               : is_halted(record)           ? COMMAND_STUCK
                                             : COMMAND_UNDER_WAY;
    case TABLE_SIGNAL_RESUME:
        return going_on(record);
    case TABLE_SIGNAL_FORGET:
    case TABLE_SIGNAL_REPAIR:
    case TABLE_SIGNAL_REPORT:
        break;
    }
    return COMMAND_DONE;
}

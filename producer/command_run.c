#include "producer/command_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/kafka/kafka.h"
#include "common/messages/signal_request.h"
#include "common/run/log.h"
#include "common/run/program.h"
#include "common/run/stop.h"

#define LOOK_MS 100
#define TELL_EVERY_MS 10000

struct run {
    const struct command *command;
    const struct config *config;
    struct signal_request to;
    int64_t asked; /* the generation when it was asked for */
};

static void run_release(struct run *run)
{
    signal_sender_free(run->to.sender);
    ledger_cache_free(run->to.ledger);
}

/* ---- opening ---- */

static int open_all(struct run *run, struct error *err)
{
    if (signal_sender_new(&run->to.sender, run->config, "dynaferry-producer", err) < 0 ||
        signal_sender_wait(run->to.sender, err) < 0)
        return -1;
    return ledger_cache_open(&run->to.ledger, run->config, err);
}

/* ---- asking ---- */

static int find_table(struct run *run, struct error *err)
{
    AUTO(ledger_table_release) struct ledger_table record = {0};
    int found = ledger_cache_table(run->to.ledger, run->command->table, &record, err);

    if (found == 0)
        return error_fatal(err, EXIT_FATAL,
                           "the ledger knows no table %s: no producer carries it",
                           run->command->table);
    if (found < 0)
        return -1;
    run->asked = record.generation;
    return 0;
}

static int ask(struct run *run, struct error *err)
{
    const struct command *command = run->command;
    AUTO(free_charp) char *id = signal_sender_id();
    const struct table_signal signal = {.id = id,
                                        .type = command->type,
                                        .table = (char *)command->table,
                                        .reason = (char *)command->reason,
                                        .generation = run->asked};

    if (signal_request_run(&run->to, &signal, err) < 0)
        return error_prefix(err, err->kind == ERR_DATA ? "%s of %s was refused" : "%s of %s",
                            table_signal_type_name(command->type), command->table);
    log_info("request taken", "table=%s type=%s id=%s", command->table,
             table_signal_type_name(command->type), id);
    return 0;
}

/* ---- waiting ---- */

static int interrupted(const struct run *run, struct error *err)
{
    return error_fatal(err, EXIT_FATAL, "interrupted: %s of %s was taken, and goes on",
                       table_signal_type_name(run->command->type), run->command->table);
}

static int stuck(const struct run *run, const struct ledger_table *record, struct error *err)
{
    if (!record)
        return error_fatal(err, EXIT_FATAL, "the table was forgotten");
    if (run->command->type == TABLE_SIGNAL_FORGET)
        return error_fatal(err, EXIT_FATAL, "table %s is there again: it is not forgotten",
                           run->command->table);
    return error_fatal(err, EXIT_FATAL, "table %s is halted in phase %s: %s",
                       run->command->table, ledger_phase_name(record->phase), record->reason);
}

static void tell(const struct run *run, const struct ledger_table *record, int64_t *next_ms)
{
    if (clock_mono_ms() < *next_ms)
        return;
    *next_ms = clock_mono_ms() + TELL_EVERY_MS;
    log_info("waiting", "table=%s phase=%s generation=%" PRId64 " reason=%s",
             run->command->table, record ? ledger_phase_name(record->phase) : "none",
             record ? record->generation : 0, record ? record->reason : "");
}

/* 1: not done yet. */
static int look(const struct run *run, int64_t *next_tell_ms, struct error *err)
{
    AUTO(free_charp) char *key = xasprintf("place/%s", run->command->table);
    AUTO(free_charp) char *place = ledger_cache_value(run->to.ledger, key);
    AUTO(ledger_table_release) struct ledger_table record = {0};
    int found = ledger_cache_table(run->to.ledger, run->command->table, &record, err);
    const struct ledger_table *known = found ? &record : NULL;

    if (found < 0)
        return -1;
    switch (command_progress(run->command, known, place, run->asked)) {
    case COMMAND_DONE:
        return 0;
    case COMMAND_STUCK:
        return stuck(run, known, err);
    case COMMAND_UNDER_WAY:
        break;
    }
    tell(run, known, next_tell_ms);
    return 1;
}

static int wait_done(const struct run *run, struct error *err)
{
    int64_t next_tell_ms = clock_mono_ms() + TELL_EVERY_MS;
    int result;

    while ((result = look(run, &next_tell_ms, err)) > 0)
        if (stop_wait_ms(LOOK_MS))
            return interrupted(run, err);
    if (result == 0)
        log_info("request done", "table=%s type=%s", run->command->table,
                 table_signal_type_name(run->command->type));
    return result;
}

/* ---- what stays ---- */

static void print_regex(const char *text)
{
    for (; *text; text++)
        printf(*text == '.' ? "\\." : "%c", *text);
}

static void print_what_stays(const struct run *run)
{
    const char *table = run->command->table;
    AUTO(free_charp) char *topic = kafka_data_topic(run->config, table);

    printf("The topic %s and the table's documents stay. To remove them, when no consumer "
           "reads the topic any more:\n\n"
           "    kafka-topics.sh --bootstrap-server %s --delete --topic %s\n\n"
           "and in the database of each target (mongosh), where map.collection gives the "
           "collection no other name:\n\n"
           "    db.getCollection(\"%s\").drop()\n"
           "    db.getCollection(\"dynaferry:applied\").deleteMany({_id: /^",
           topic, config_string(run->config, "kafka.bootstrap.servers"), topic, table);
    print_regex(topic);
    printf("(\\/|$)/})\n");
    fflush(stdout);
}

static int run_all(struct run *run, struct error *err)
{
    if (open_all(run, err) < 0 || find_table(run, err) < 0 || ask(run, err) < 0 ||
        (run->command->wait && wait_done(run, err) < 0))
        return -1;
    if (run->command->type == TABLE_SIGNAL_FORGET)
        print_what_stays(run);
    return 0;
}

int command_run(const struct command *command, const struct config *config, struct error *err)
{
    AUTO(run_release)
    struct run run = {.command = command,
                      .config = config,
                      .to.limit_ms = config_int(config, "start.timeout") * 1000};

    return run_all(&run, err) < 0 ? program_not_done(err) : 0;
}

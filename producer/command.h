/* producer/command.h - requests by hand: the flags of dynaferry-producer that ask the owner of
 * a table for something, and when what was asked for is done. Pure. */
#pragma once

#include <stdbool.h>

#include "common/config/config_extra.h"
#include "common/messages/ledger.h"
#include "common/messages/table_signal.h"

/* For config_load. */
extern struct config_extra command_extras[];

struct command { /* borrows from the command line */
    const char *table;
    enum table_signal_type type;
    const char *reason; /* NULL: none */
    bool wait;          /* until it is done, not only taken */
};

/* 1: the program is to run this command, and nothing else; 0: there is none. ERR_FATAL 64. */
int command_read(struct command *ret, const struct config_extra *extras, struct error *err);

/* No command: --take-over-nimoshake, of the producer that carries tables. */
bool command_takes_over(const struct config_extra *extras);

enum command_progress {
    COMMAND_UNDER_WAY,
    COMMAND_DONE,
    COMMAND_STUCK, /* the table needs a person */
};
/* Of a command that was taken. record: the table's, NULL: none; placed: it has a place in the
 * ledger; asked: the generation when it was asked for. */
enum command_progress command_progress(const struct command *command,
                                       const struct ledger_table *record, bool placed,
                                       int64_t asked);

/* consumer/write_command.h - one update or delete command, built as BSON in one buffer.
 *
 * Of our own making: the driver's bulk takes no maxTimeMS and splits itself. Unordered: the
 * keys of a batch differ. Pure; of one thread. */
#pragma once

#include "common/mongo/mongo_target.h"
#include "consumer/batch.h"
#include "consumer/bson_out.h"
#include "consumer/table.h"

/* Around the records: names, limits, the driver's own members. */
#define WRITE_COMMAND_RESERVE 16384

struct write_command {
    struct buf out;     /* the command */
    struct buf scratch; /* of a filter */
    size_t count;       /* of its records */
    size_t limit;       /* of its bytes, unless one record alone is larger */

    /* since it was begun */
    const struct mongo_target *target;
    const struct table_view *view;
    bool deletes;
    size_t body;
    size_t list;
    struct bson_out_index index;
};

void write_command_init(struct write_command *command);
void write_command_release(struct write_command *command);

/* Empties it. The limit is set before. */
void write_command_begin(struct write_command *command, const struct mongo_target *target,
                         const struct table_view *view, bool deletes);
/* On failure the command is as it was. ERR_DATA: this record can't be converted. ERR_RETRY: it
 * does not fit into this command any more. */
int write_command_add(struct write_command *command, const struct batch_entry *entry,
                      struct error *err);
void write_command_end(struct write_command *command);
/* Gives a large buffer back. */
void write_command_trim(struct write_command *command);

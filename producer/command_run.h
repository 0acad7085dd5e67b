/* producer/command_run.h - runs a command: sends the request, waits until its table's owner
 * took it and, when asked to, until it is done. Of the main thread; nothing else of the
 * producer runs beside it. */
#pragma once

#include "common/config/config.h"
#include "producer/command.h"

/* 0, or ERR_FATAL with the exit code. */
int command_run(const struct command *command, const struct config *config, struct error *err);

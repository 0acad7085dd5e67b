/* common/run/program.h - what every program does before and after its work: configuration,
 * signals, log, metrics, exit code. */
#pragma once

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/config/config_extra.h"
#include "common/run/metrics_http.h"

struct program {
    enum config_program which;
    const char *name;
    struct config_extra *extras; /* NULL for none; filled before run */
    /* Not 0: the exit code in the place of every other of a failure, but for 64 and 78, and
     * also of an ERR_RETRY during a stop, which else counts as a good end. */
    int fatal_code;
    /* It answers a question: what goes well is not logged, unless log.level was set. */
    bool quiet;
    /* A part that does not answer any more may hold up the end only so long after a stop was
     * requested (or program_ends); what is open then is as after a crash, which loses nothing.
     * 0: no such bound. */
    int ends_within_ms;
    /* metrics_http_start; NULL of a program that is run beside the others with the same file,
     * so that one of them may have taken http.port. */
    int (*serve)(struct metrics_http **ret, const struct config *c, struct error *err);
    /* On the main thread, with log and metrics up. 0, -1, or an exit code above 0 that is a
     * result of the work and no failure. */
    int (*run)(const struct config *c, const struct config_extra *extras, struct error *err);
};

/* From run: the work is over without a signal, and only what is open is closed: the program is
 * not ready any more, and ends_within_ms begins now, with this exit code. */
void program_ends(int exit_code);

/* For a run that was asked for one thing, which is not done: no good end, also when a stop was
 * requested. Returns -1. */
int program_not_done(struct error *err);

/* For main: the exit code. */
int program_main(const struct program *program, int argc, char **argv);

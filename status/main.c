/* dynaferry-status - where does a bridge stand?
 *
 * Reads the ledger, the topics, the groups and the target's positions: neither DynamoDB nor a
 * running producer is needed. See docs/status.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/mongo/mongo.h"
#include "common/run/program.h"
#include "common/run/stop.h"
#include "status/bridge_reader.h"
#include "status/status_options.h"
#include "status/view_json.h"
#include "status/view_text.h"
#include "status/wait.h"

#define EXIT_SO 0
#define EXIT_NOT_SO 1
#define EXIT_COULD_NOT_TELL 2

#define OUT_CEILING ((size_t)1 << 30)
#define WHY_CEILING ((size_t)1 << 20)
#define LAG_WAIT_MS 20000
#define WIDTH_OF_PIPES 120
#define CLEAR "\x1b[H\x1b[J"

/* ---- the terminal ---- */

/* COLUMNS, as shells and tests set it, then the terminal. */
static size_t width(void)
{
    const char *columns = getenv("COLUMNS");
    long given = columns ? strtol(columns, NULL, 10) : 0;
    struct winsize size;

    if (given > 0 && given < 10000)
        return (size_t)given;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return WIDTH_OF_PIPES;
}

static bool in_color(void)
{
    const char *no_color = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

/* ---- looks ---- */

static int show(const struct status_options *options, const struct bridge *bridge,
                const struct bridge *before, struct error *err)
{
    const struct view_text_style style = {
        .width = width(), .in_color = in_color(), .shards = options->shards};
    AUTO(buf_release) struct buf out;

    buf_init(&out, OUT_CEILING);
    if (options->json)
        view_json(&out, bridge, before);
    else
        view_text(&out, bridge, before, &style);
    if (options->watch_ms > 0 && !options->json && isatty(STDOUT_FILENO))
        fputs(CLEAR, stdout);
    fwrite(out.p, 1, out.len, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_fatal(err, 0, "the answer can't be written");
    return 0;
}

static int code_of(const struct bridge *bridge)
{
    return bridge->unread_count > 0 ? EXIT_COULD_NOT_TELL : EXIT_SO;
}

static int look_once(const struct status_options *options, struct bridge_reader *reader,
                     struct error *err)
{
    AUTO(bridge_release) struct bridge bridge;

    bridge_reader_look(&bridge, reader, options->table);
    if (options->table && bridge.count == 0 && bridge.unread_count == 0)
        return error_fatal(err, 0, "the ledger knows no table %s", options->table);
    return show(options, &bridge, NULL, err) < 0 ? -1 : code_of(&bridge);
}

/* Until a stop is requested. */
static int watch(const struct status_options *options, struct bridge_reader *reader,
                 struct error *err)
{
    AUTO(bridge_release) struct bridge before = {0};
    int code;

    do {
        struct bridge bridge;

        bridge_reader_look(&bridge, reader, options->table);
        if (stop_requested()) {
            bridge_release(&bridge);
            return EXIT_SO;
        }
        code = show(options, &bridge, before.at_ms ? &before : NULL, err);
        bridge_release(&before);
        before = bridge;
    } while (code == 0 && !stop_wait_ms((int)options->watch_ms));
    return code;
}

/* ---- is it so? ---- */

static int wait_for(const struct status_options *options, const struct wait_for *wait,
                    struct bridge_reader *reader, const struct config *config,
                    struct error *err)
{
    AUTO(buf_release) struct buf why;
    int result;

    buf_init(&why, WHY_CEILING);
    result = wait_run(wait, reader, config, &why, err);
    if (result == EXIT_NOT_SO)
        fprintf(stderr, "%s:\n" BYTES_FMT,
                options->waits ? "the target does not hold everything"
                               : "the target is behind by more than --max-lag",
                BYTES_ARG(why));
    return result;
}

static int run_wait(const struct status_options *options, struct bridge_reader *reader,
                    const struct config *config, struct error *err)
{
    const struct wait_for wait = {.table = options->table,
                                  .before_ms = options->before_ms,
                                  .timeout_ms = options->timeout_ms};

    return wait_for(options, &wait, reader, config, err);
}

static int run_max_lag(const struct status_options *options, struct bridge_reader *reader,
                       const struct config *config, struct error *err)
{
    const struct wait_for wait = {.table = options->table,
                                  .before_ms = clock_wall_ms() - options->max_lag_ms,
                                  .timeout_ms = LAG_WAIT_MS,
                                  .is_alarm = true};
    int result = wait_for(options, &wait, reader, config, err);
    int shown = result < 0 ? -1 : look_once(options, reader, err);

    if (shown < 0)
        return -1;
    return result == EXIT_SO ? shown : result;
}

static int run(const struct config *config, const struct config_extra *extras,
               struct error *err)
{
    AUTO(bridge_reader_freep) struct bridge_reader *reader = NULL;
    struct status_options options;

    if (status_options_read(&options, extras, err) < 0 ||
        bridge_reader_new(&reader, config, err) < 0)
        return -1;
    if (options.waits)
        return run_wait(&options, reader, config, err);
    if (options.max_lag_ms >= 0)
        return run_max_lag(&options, reader, config, err);
    return options.watch_ms > 0 ? watch(&options, reader, err)
                                : look_once(&options, reader, err);
}

int main(int argc, char **argv)
{
    const struct program program = {.which = CONFIG_STATUS,
                                    .name = "dynaferry-status",
                                    .extras = status_options_extras,
                                    .run = run,
                                    .fatal_code = EXIT_COULD_NOT_TELL,
                                    .quiet = true};
    int code;

    mongoc_init();
    code = program_main(&program, argc, argv);
    mongoc_cleanup();
    return code;
}

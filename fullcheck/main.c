/* dynaferry-fullcheck - do DynamoDB and MongoDB hold the same?
 *
 * Reads both ends by itself and compares them, table by table. See docs/fullcheck.md. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/dynamodb/ddb_names.h"
#include "common/run/log.h"
#include "common/run/program.h"
#include "common/run/progress.h"
#include "common/run/retry.h"
#include "common/run/stop.h"
#include "fullcheck/repair.h"
#include "fullcheck/table_passes.h"

#define EXIT_SAME 0
#define EXIT_DIFFERENT 1
#define EXIT_COULD_NOT_TELL 2

/* ---- which tables ---- */

struct tables {
    const struct config *config;
    char **at_source;
    size_t at_source_count;
    struct table_result *results; /* one per table to be checked */
    size_t count;
};

static struct table_result *add_table(struct tables *tables, const char *name)
{
    tables->results = xrealloc(tables->results, (tables->count + 1) * sizeof(*tables->results));
    tables->results[tables->count] =
        (struct table_result){.table = xstrdup(name), .documents = -1, .index = "not checked"};
    buf_init(&tables->results[tables->count].reason, 4096);
    return &tables->results[tables->count++];
}

static bool is_at_source(const struct tables *tables, const char *name)
{
    for (size_t i = 0; i < tables->at_source_count; i++)
        if (strcmp(tables->at_source[i], name) == 0)
            return true;
    return false;
}

/* Named by the user, but not there. */
static void add_missing(void *arg, const char *name)
{
    struct tables *tables = arg;
    struct table_result *row;

    if (is_at_source(tables, name))
        return;
    row = add_table(tables, name);
    row->result = RESULT_UNKNOWN;
    buf_printf(&row->reason, "DynamoDB has no such table");
}

static int list_tables(struct tables *tables, struct worker *own, struct error *err)
{
    struct retry retry;

    retry_init(&retry, own->check->retry_limit_ms);
    while (ddb_names_list(&tables->at_source, &tables->at_source_count, own->ddb.client, err) <
           0)
        if (!retry_again(&retry, ddb_client_error(own->ddb.client) == DDB_THROTTLED, err))
            return error_prefix(err, "DynamoDB");
    for (size_t i = 0; i < tables->at_source_count; i++)
        if (config_wants_table(tables->config, tables->at_source[i]))
            add_table(tables, tables->at_source[i]);
    return 0;
}

static void tables_release(struct tables *tables)
{
    for (size_t i = 0; i < tables->count; i++) {
        buf_release(&tables->results[i].reason);
        free(tables->results[i].table);
    }
    free(tables->results);
    ddb_names_free(tables->at_source, tables->at_source_count);
}

/* ---- workers ---- */

static struct worker *workers_new(struct check *check)
{
    int count = check->options.threads + 1; /* the main thread has one too */
    struct worker *workers = xcalloc((size_t)count, sizeof(*workers));

    for (int i = 0; i < count; i++) {
        workers[i].check = check;
        workers[i].mongo = mongo_new(check->target);
        workers[i].ddb = (struct ddb_side){.client = ddb_client_new(check->source),
                                           .throttle = check->throttle,
                                           .retry_limit_ms = check->retry_limit_ms};
        canon_arena_init(&workers[i].arena);
    }
    return workers;
}

static void workers_free(struct worker *workers, const struct check *check)
{
    for (int i = 0; i < check->options.threads + 1; i++) {
        canon_arena_release(&workers[i].arena);
        ddb_client_free(workers[i].ddb.client);
        mongo_free(workers[i].mongo);
    }
    free(workers);
}

/* ---- the summary ---- */

static enum check_result result_of(const struct tables *tables)
{
    bool different = false, unknown = tables->count == 0;

    for (size_t i = 0; i < tables->count; i++) {
        different = different || tables->results[i].result == RESULT_DIFFERENT;
        unknown = unknown || tables->results[i].result == RESULT_UNKNOWN;
    }
    return different ? RESULT_DIFFERENT : unknown ? RESULT_UNKNOWN : RESULT_SAME;
}

/* The caller frees. */
static char *reason_of(const struct tables *tables, enum check_result result)
{
    if (result != RESULT_UNKNOWN)
        return xstrdup("");
    if (stop_requested())
        return xstrdup("interrupted");
    for (size_t i = 0; i < tables->count; i++)
        if (tables->results[i].result == RESULT_UNKNOWN)
            return xasprintf("%s: " BYTES_FMT, tables->results[i].table,
                             BYTES_ARG(tables->results[i].reason));
    return xstrdup("there is no table to check");
}

static int print_summary(const struct check *check, const struct tables *tables,
                         int64_t started_ms, struct error *err)
{
    enum check_result result = result_of(tables);
    AUTO(free_charp) char *reason = reason_of(tables, result);
    const struct summary summary = {.result = result,
                                    .reason = reason,
                                    .started_ms = started_ms,
                                    .finished_ms = clock_wall_ms(),
                                    .tables = tables->results,
                                    .count = tables->count};

    if (check->options.json)
        report_summary_json(stdout, &summary);
    else
        report_summary_text(stdout, &summary);
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_fatal(err, 0, "the summary can't be written");
    return summary.result == RESULT_SAME        ? EXIT_SAME
           : summary.result == RESULT_DIFFERENT ? EXIT_DIFFERENT
                                                : EXIT_COULD_NOT_TELL;
}

/* The summary, for who reads nothing else, says why there is no table in it. */
static int could_not_start(const struct check *check, int64_t started_ms,
                           const struct error *err)
{
    const struct summary summary = {.result = RESULT_UNKNOWN,
                                    .reason = err->message,
                                    .started_ms = started_ms,
                                    .finished_ms = clock_wall_ms()};

    if (check->options.json)
        report_summary_json(stdout, &summary);
    return -1;
}

/* ---- a check ---- */

static void check_tables(struct check *check, struct tables *tables, struct worker *workers)
{
    for (size_t i = 0; i < tables->count; i++) {
        if (!stop_requested()) {
            progress_set_place(check->progress, i + 1, tables->count);
            table_passes_run(&tables->results[i], check, workers);
            continue;
        }
        tables->results[i].result = RESULT_UNKNOWN;
        buf_printf(&tables->results[i].reason, "interrupted");
    }
    config_list_each(check->config, "filter.collection.white", add_missing, tables);
}

static int check_with(struct check *check, struct worker *workers, struct error *err)
{
    AUTO(tables_release) struct tables tables = {.config = check->config};
    int64_t started_ms = clock_wall_ms();

    if (list_tables(&tables, &workers[0], err) < 0)
        return could_not_start(check, started_ms, err);
    check_tables(check, &tables, workers);
    if (report_close(&check->report, err) < 0)
        return -1;
    return print_summary(check, &tables, started_ms, err);
}

static void check_release(struct check *check)
{
    struct error ignored;

    if (check->report.differences)
        report_close(&check->report, &ignored); /* the check has failed already */
    progress_free(check->progress);
    repair_free(check->repair);
    throttle_free(check->throttle);
    ddb_source_free(check->source);
    mongo_target_free(check->target);
}

static bool is(const struct config *config, const char *key, const char *value)
{
    return strcmp(config_string(config, key), value) == 0;
}

static int open_ends(struct check *check, const struct config *config, struct error *err)
{
    int64_t started_ms = clock_wall_ms();

    if (ddb_source_new(&check->source, config, err) < 0 ||
        mongo_target_new(&check->target, config, "dynaferry-fullcheck", err) < 0)
        return -1;
    if (mongo_wait(check->target, check->retry_limit_ms, err) < 0 ||
        (check->options.repair && repair_new(&check->repair, config, err) < 0))
        return could_not_start(check, started_ms, err);
    return report_open(&check->report, check->options.diff_file, err);
}

static int run(const struct config *config, const struct config_extra *extras,
               struct error *err)
{
    AUTO(check_release)
    struct check check = {.config = config,
                          .form = {.change = is(config, "convert.type", "change"),
                                   .as_double = is(config, "convert.number", "double"),
                                   .id_prefix = config_string(config, "convert._id")},
                          .by_id = is(config, "target.id", "key"),
                          .retry_limit_ms = config_int(config, "start.timeout") * 1000};
    struct worker *workers;
    int result;

    if (fullcheck_options_read(&check.options, extras, err) < 0)
        return -1;
    check.throttle = throttle_new(config_int(config, "memory.bytes"), 0,
                                  config_int(config, "qps.full"), 0, 1);
    if (open_ends(&check, config, err) < 0)
        return -1;
    if (check.options.sample > 0)
        log_info("sampling started", "items=%" PRId64 " seed=%" PRIu64, check.options.sample,
                 check.options.seed);
    check.progress = progress_new(false);
    workers = workers_new(&check);
    result = check_with(&check, workers, err);
    workers_free(workers, &check);
    return result;
}

int main(int argc, char **argv)
{
    const struct program program = {.which = CONFIG_FULLCHECK,
                                    .name = "dynaferry-fullcheck",
                                    .extras = fullcheck_options_extras,
                                    .run = run,
                                    .fatal_code = EXIT_COULD_NOT_TELL};
    int code;

    mongoc_init();
    code = program_main(&program, argc, argv);
    mongoc_cleanup();
    return code;
}

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
#include "common/run/retry.h"
#include "common/run/stop.h"
#include "fullcheck/repair.h"
#include "fullcheck/table_check.h"

#define EXIT_SAME 0
#define EXIT_DIFFERENT 1
#define EXIT_COULD_NOT_TELL 2

/* ---- which tables ---- */

struct tables {
    const struct config *config;
    char **at_source;
    size_t at_source_count;
    struct table_result *results; /* one a table to be checked */
    size_t count;
};

static struct table_result *add_table(struct tables *t, const char *name)
{
    t->results = xrealloc(t->results, (t->count + 1) * sizeof(*t->results));
    t->results[t->count] =
        (struct table_result){.table = xstrdup(name), .documents = -1, .index = "not checked"};
    buf_init(&t->results[t->count].reason, 4096);
    return &t->results[t->count++];
}

static bool is_at_source(const struct tables *t, const char *name)
{
    for (size_t i = 0; i < t->at_source_count; i++)
        if (strcmp(t->at_source[i], name) == 0)
            return true;
    return false;
}

/* Named by the user, but not there. */
static void add_missing(void *arg, const char *name)
{
    struct tables *t = arg;
    struct table_result *r;

    if (is_at_source(t, name))
        return;
    r = add_table(t, name);
    r->result = RESULT_UNKNOWN;
    buf_printf(&r->reason, "DynamoDB has no such table");
}

static int list_tables(struct tables *t, struct worker *own, struct error *err)
{
    struct retry patience;

    retry_init(&patience, own->check->patience_ms);
    while (ddb_names_list(&t->at_source, &t->at_source_count, own->ddb.client, err) < 0)
        if (!retry_again(&patience, ddb_client_error(own->ddb.client) == DDB_THROTTLED, err))
            return error_prefix(err, "DynamoDB");
    for (size_t i = 0; i < t->at_source_count; i++)
        if (config_wants_table(t->config, t->at_source[i]))
            add_table(t, t->at_source[i]);
    return 0;
}

static void tables_release(struct tables *t)
{
    for (size_t i = 0; i < t->count; i++) {
        buf_release(&t->results[i].reason);
        free(t->results[i].table);
    }
    free(t->results);
    ddb_names_free(t->at_source, t->at_source_count);
}

/* ---- workers ---- */

static struct worker *workers_new(struct check *c)
{
    int count = c->options.threads + 1; /* the main thread has one too */
    struct worker *workers = xcalloc((size_t)count, sizeof(*workers));

    for (int i = 0; i < count; i++) {
        workers[i].check = c;
        workers[i].mongo = mongo_new(c->target);
        workers[i].ddb = (struct ddb_side){.client = ddb_client_new(c->source),
                                           .throttle = c->throttle,
                                           .patience_ms = c->patience_ms};
        canon_arena_init(&workers[i].arena);
    }
    return workers;
}

static void workers_free(struct worker *workers, const struct check *c)
{
    for (int i = 0; i < c->options.threads + 1; i++) {
        canon_arena_release(&workers[i].arena);
        ddb_client_free(workers[i].ddb.client);
        mongo_free(workers[i].mongo);
    }
    free(workers);
}

/* ---- the summary ---- */

static enum check_result result_of(const struct tables *t)
{
    bool different = false, unknown = t->count == 0;

    for (size_t i = 0; i < t->count; i++) {
        different = different || t->results[i].result == RESULT_DIFFERENT;
        unknown = unknown || t->results[i].result == RESULT_UNKNOWN;
    }
    return different ? RESULT_DIFFERENT : unknown ? RESULT_UNKNOWN : RESULT_SAME;
}

/* The caller frees. */
static char *reason_of(const struct tables *t, enum check_result result)
{
    if (result != RESULT_UNKNOWN)
        return xstrdup("");
    if (stop_requested())
        return xstrdup("interrupted");
    for (size_t i = 0; i < t->count; i++)
        if (t->results[i].result == RESULT_UNKNOWN)
            return xasprintf("%s: " BYTES_FMT, t->results[i].table,
                             BYTES_ARG(t->results[i].reason));
    return xstrdup("there is no table to check");
}

static int print_summary(const struct check *c, const struct tables *t, int64_t started_ms,
                         struct error *err)
{
    enum check_result result = result_of(t);
    AUTO(free_charp) char *reason = reason_of(t, result);
    const struct summary s = {.result = result,
                              .reason = reason,
                              .started_ms = started_ms,
                              .finished_ms = clock_wall_ms(),
                              .tables = t->results,
                              .count = t->count};

    if (c->options.json)
        report_summary_json(stdout, &s);
    else
        report_summary_text(stdout, &s);
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_fatal(err, 0, "the summary can't be written");
    return s.result == RESULT_SAME        ? EXIT_SAME
           : s.result == RESULT_DIFFERENT ? EXIT_DIFFERENT
                                          : EXIT_COULD_NOT_TELL;
}

/* Who reads the summary is told as well why there is no table in it. */
static int could_not_begin(const struct check *c, int64_t started_ms, const struct error *err)
{
    const struct summary s = {.result = RESULT_UNKNOWN,
                              .reason = err->message,
                              .started_ms = started_ms,
                              .finished_ms = clock_wall_ms()};

    if (c->options.json)
        report_summary_json(stdout, &s);
    return -1;
}

/* ---- a check ---- */

static void check_tables(struct check *c, struct tables *t, struct worker *workers)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!stop_requested()) {
            table_check_run(&t->results[i], c, workers);
            continue;
        }
        t->results[i].result = RESULT_UNKNOWN;
        buf_printf(&t->results[i].reason, "interrupted");
    }
    config_list_each(c->config, "filter.collection.white", add_missing, t);
}

static int check_with(struct check *c, struct worker *workers, struct error *err)
{
    AUTO(tables_release) struct tables tables = {.config = c->config};
    int64_t started_ms = clock_wall_ms();

    if (list_tables(&tables, &workers[0], err) < 0)
        return could_not_begin(c, started_ms, err);
    check_tables(c, &tables, workers);
    if (report_close(&c->report, err) < 0)
        return -1;
    return print_summary(c, &tables, started_ms, err);
}

static void check_release(struct check *c)
{
    struct error ignored;

    if (c->report.differences)
        report_close(&c->report, &ignored); /* the check has failed already */
    repair_free(c->repair);
    throttle_free(c->throttle);
    ddb_source_free(c->source);
    mongo_target_free(c->target);
}

static bool is(const struct config *c, const char *key, const char *value)
{
    return strcmp(config_string(c, key), value) == 0;
}

static int open_ends(struct check *c, const struct config *config, struct error *err)
{
    int64_t started_ms = clock_wall_ms();

    if (ddb_source_new(&c->source, config, err) < 0 ||
        mongo_target_new(&c->target, config, "dynaferry-fullcheck", err) < 0)
        return -1;
    if (mongo_wait(c->target, c->patience_ms, err) < 0 ||
        (c->options.repair && repair_new(&c->repair, config, err) < 0))
        return could_not_begin(c, started_ms, err);
    return report_open(&c->report, c->options.diff_file, err);
}

static int run(const struct config *config, const struct config_extra *extras,
               struct error *err)
{
    AUTO(check_release)
    struct check c = {.config = config,
                      .form = {.change = is(config, "convert.type", "change"),
                               .as_double = is(config, "convert.number", "double"),
                               .id_prefix = config_string(config, "convert._id")},
                      .by_id = is(config, "target.id", "key"),
                      .patience_ms = config_int(config, "start.timeout") * 1000};
    struct worker *workers;
    int result;

    if (fullcheck_options_read(&c.options, extras, err) < 0)
        return -1;
    c.throttle = throttle_new(config_int(config, "memory.bytes"), 0,
                              config_int(config, "qps.full"), 0, 1);
    if (open_ends(&c, config, err) < 0)
        return -1;
    if (c.options.sample > 0)
        log_info("sample", "items=%" PRId64 " seed=%" PRIu64, c.options.sample, c.options.seed);
    workers = workers_new(&c);
    result = check_with(&c, workers, err);
    workers_free(workers, &c);
    return result;
}

int main(int argc, char **argv)
{
    const struct program p = {.which = CONFIG_FULLCHECK,
                              .name = "dynaferry-fullcheck",
                              .extras = fullcheck_extras,
                              .run = run,
                              .fatal_code = EXIT_COULD_NOT_TELL};
    int code;

    mongoc_init();
    code = program_main(&p, argc, argv);
    mongoc_cleanup();
    return code;
}

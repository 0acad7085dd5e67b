#include "producer/full_end.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "producer/placement.h"
#include "producer/start_decision.h"
#include "producer/table_names.h"

#define LOGGED_AT_MOST 20

enum blame {
    BLAME_OTHER,
    BLAME_RIGHT,
    BLAME_NAME,
    BLAMES
};

struct failed {
    char *table;
    char *reason;
};

struct census { /* of the tables that pass the filters */
    const struct full_asked *asked;
    struct placement places;
    struct table_names *names;
    size_t wanted;
    size_t waiting; /* neither over nor stuck */
    struct failed *failed;
    size_t failed_count;
    size_t blames[BLAMES];
};

/* ---- one table ---- */

/* Reasons are texts by the time they are here: of the ledger, or of a worker. */
static bool names_a_right(const char *reason)
{
    static const char *const words[] = {"AccessDenied",        "no right",
                                        "Unauthorized",        "UnrecognizedClient",
                                        "InvalidSignature",    "SignatureDoesNotMatch",
                                        "IncompleteSignature", "MissingAuthenticationToken",
                                        "ExpiredToken",        "InvalidClientTokenId",
                                        "HTTP status 403",     "HTTP 403"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(reason, words[i]))
            return true;
    return false;
}

static void add_failed(struct census *census, const char *table, const char *reason,
                       bool is_name)
{
    enum blame blame = is_name ? BLAME_NAME : names_a_right(reason) ? BLAME_RIGHT : BLAME_OTHER;

    census->failed =
        xrealloc(census->failed, sizeof(*census->failed) * (census->failed_count + 1));
    census->failed[census->failed_count++] = (struct failed){xstrdup(table), xstrdup(reason)};
    census->blames[blame]++;
}

/* A table of ours with an older record is repeated. Another instance may have finished its one
 * before we started, in this run, and leave it alone; or it is about to repeat it, or has died
 * before it could. */
bool full_end_is_finished(const struct ledger_table *t, int64_t program_started_ms,
                          bool is_elsewhere, bool is_stable)
{
    return t->phase == PHASE_TAIL && t->finished_ms > 0 &&
           (t->finished_ms >= program_started_ms || (is_elsewhere && is_stable));
}

static void count_by_record(struct census *census, const char *table, bool is_elsewhere)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    AUTO(free_charp) char *reason = NULL;
    struct error err;
    int found = ledger_cache_table(census->asked->p->cache, table, &t, &err);

    if (found < 0) {
        add_failed(census, table, err.message, false);
        return;
    }
    if (found == 1 && full_end_is_finished(&t, census->asked->p->started_ms, is_elsewhere,
                                           census->asked->is_stable))
        return;
    if (found == 0 || t.phase == PHASE_SNAPSHOT || t.phase == PHASE_TAIL ||
        (t.phase == PHASE_GAP &&
         start_decision_renews(&t, census->asked->p->renews_gaps))) { /* it goes on by itself */
        census->waiting++;
        return;
    }
    reason = xasprintf("%s%s%s", ledger_phase_name(t.phase), *t.reason ? ", " : "", t.reason);
    add_failed(census, table, reason, false);
}

static void count_placed(struct census *census, const struct placed *placed)
{
    AUTO(free_charp) char *bad_name = table_names_take(census->names, placed->table);
    AUTO(free_charp) char *halted = halted_reason(census->asked->halted, placed->table);
    char why[400];

    census->wanted++;
    if (bad_name || halted) {
        add_failed(census, placed->table, bad_name ? bad_name : halted, bad_name != NULL);
        return;
    }
    switch (census->asked->table(census->asked->arg, placed->table, placed->place.partition,
                                 why, sizeof(why))) {
    case FULL_ELSEWHERE:
        count_by_record(census, placed->table, true);
        break;
    case FULL_UNDER_WAY:
        census->waiting++;
        break;
    case FULL_OVER:
        count_by_record(census, placed->table, false);
        break;
    case FULL_STUCK:
        add_failed(census, placed->table, why, false);
        break;
    }
}

static bool was_listed(const struct producer *p, const char *table)
{
    for (size_t i = 0; i < p->listed_count; i++)
        if (strcmp(p->listed[i], table) == 0)
            return true;
    return false;
}

/* A table that is to be forgotten and has come back will be placed again. */
static void count_place(struct census *census, const struct placed *placed)
{
    if (!placed->place.forget)
        count_placed(census, placed);
    else if (was_listed(census->asked->p, placed->table))
        census->waiting++;
}

static void count_listed(struct census *census, const char *table)
{
    AUTO(free_charp) char *bad_name = table_names_take(census->names, table);

    census->wanted++;
    if (bad_name)
        add_failed(census, table, bad_name, true);
    else if (census->asked->is_settled)
        add_failed(census, table, "it was deleted before it was read", false);
    else
        census->waiting++;
}

static void count_named(void *arg, const char *table)
{
    struct census *census = arg;

    if (!config_wants_table(census->asked->p->config, table) ||
        was_listed(census->asked->p, table) || name_map_has(&census->places.by_name, table))
        return;
    census->wanted++;
    add_failed(census, table, "filter.collection.white names it and it does not exist", false);
}

/* ---- all of them ---- */

static void take_census(struct census *census)
{
    const struct producer *p = census->asked->p;

    placement_read(&census->places, p->cache);
    census->names = table_names_new(p->config);
    for (size_t i = 0; i < census->places.count; i++)
        if (config_wants_table(p->config, census->places.all[i].table))
            count_place(census, &census->places.all[i]);
    for (size_t i = 0; i < p->listed_count; i++)
        if (!name_map_has(&census->places.by_name, p->listed[i]))
            count_listed(census, p->listed[i]);
    config_list_each(p->config, "filter.collection.white", count_named, census);
}

static void census_release(struct census *census)
{
    placement_release(&census->places);
    table_names_free(census->names);
    for (size_t i = 0; i < census->failed_count; i++) {
        free(census->failed[i].table);
        free(census->failed[i].reason);
    }
    free(census->failed);
}

static int exit_code(const struct census *census)
{
    if (census->blames[BLAME_NAME] == census->failed_count)
        return EXIT_CONFIGURATION;
    return census->blames[BLAME_RIGHT] == census->failed_count ? EXIT_NO_RIGHT : EXIT_FATAL;
}

static int refuse(const struct census *census, struct error *err)
{
    AUTO(buf_release) struct buf text;
    size_t named = 0;

    buf_init(&text, 65536);
    for (; named < MIN(census->failed_count, LOGGED_AT_MOST); named++) {
        const struct failed *f = &census->failed[named];

        log_error("snapshot is not committed", "table=%s reason=%s", f->table, f->reason);
        if (text.len < sizeof(err->message) / 2)
            buf_printf(&text, "%s%s: %.120s", named ? "; " : "", f->table, f->reason);
        else
            buf_printf(&text, ", %s", f->table);
    }
    if (named < census->failed_count)
        log_error("snapshot is not committed", "more_tables=%zu", census->failed_count - named);
    return error_fatal(err, exit_code(census),
                       "the snapshot of %zu of %zu tables is not committed: %s",
                       census->failed_count, census->wanted, buf_cstr(&text));
}

int full_end(const struct full_asked *asked, struct error *err)
{
    AUTO(census_release) struct census census = {.asked = asked};

    take_census(&census);
    if (census.waiting > 0 || (census.wanted == 0 && !asked->is_settled))
        return 0;
    if (census.wanted == 0)
        return error_fatal(err, EXIT_FATAL, "the source has no table that passes the filters");
    return census.failed_count > 0 ? refuse(&census, err) : 1;
}

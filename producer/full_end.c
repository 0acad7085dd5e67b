#include "producer/full_end.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/exit_code.h"
#include "common/run/log.h"
#include "producer/placement.h"
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

static void add_failed(struct census *c, const char *table, const char *reason, bool is_name)
{
    enum blame blame = is_name ? BLAME_NAME : names_a_right(reason) ? BLAME_RIGHT : BLAME_OTHER;

    c->failed = xrealloc(c->failed, sizeof(*c->failed) * (c->failed_count + 1));
    c->failed[c->failed_count++] = (struct failed){xstrdup(table), xstrdup(reason)};
    c->blames[blame]++;
}

/* Ours begins anew when its record is older. Who owns it elsewhere may have finished it before
 * we started, and then leaves it alone; or it has yet to begin, or has died before it could. */
bool full_end_is_finished(const struct ledger_table *t, int64_t program_started_ms,
                          bool is_elsewhere, bool is_stable)
{
    return t->phase == PHASE_TAIL && t->finished_ms > 0 &&
           (t->finished_ms >= program_started_ms || (is_elsewhere && is_stable));
}

static void count_by_record(struct census *c, const char *table, bool is_elsewhere)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    AUTO(free_charp) char *reason = NULL;
    struct error err;
    int found = ledger_cache_table(c->asked->p->cache, table, &t, &err);

    if (found < 0) {
        add_failed(c, table, err.message, false);
        return;
    }
    if (found == 1 &&
        full_end_is_finished(&t, c->asked->p->started_ms, is_elsewhere, c->asked->is_stable))
        return;
    if (found == 0 || t.phase == PHASE_SNAPSHOT || t.phase == PHASE_TAIL) {
        c->waiting++;
        return;
    }
    reason = xasprintf("%s%s%s", ledger_phase_name(t.phase), *t.reason ? ", " : "", t.reason);
    add_failed(c, table, reason, false);
}

static void count_placed(struct census *c, const struct placed *placed)
{
    AUTO(free_charp) char *bad_name = table_names_take(c->names, placed->table);
    AUTO(free_charp) char *halted = halted_reason(c->asked->halted, placed->table);
    char why[400];

    c->wanted++;
    if (bad_name || halted) {
        add_failed(c, placed->table, bad_name ? bad_name : halted, bad_name != NULL);
        return;
    }
    switch (c->asked->table(c->asked->arg, placed->table, placed->place.partition, why,
                            sizeof(why))) {
    case FULL_ELSEWHERE:
        count_by_record(c, placed->table, true);
        break;
    case FULL_UNDER_WAY:
        c->waiting++;
        break;
    case FULL_OVER:
        count_by_record(c, placed->table, false);
        break;
    case FULL_STUCK:
        add_failed(c, placed->table, why, false);
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

/* One that is to be forgotten and came back is placed anew. */
static void count_place(struct census *c, const struct placed *placed)
{
    if (!placed->place.forget)
        count_placed(c, placed);
    else if (was_listed(c->asked->p, placed->table))
        c->waiting++;
}

static void count_listed(struct census *c, const char *table)
{
    AUTO(free_charp) char *bad_name = table_names_take(c->names, table);

    c->wanted++;
    if (bad_name)
        add_failed(c, table, bad_name, true);
    else if (c->asked->is_settled)
        add_failed(c, table, "it was deleted before it was read", false);
    else
        c->waiting++;
}

static void count_named(void *arg, const char *table)
{
    struct census *c = arg;

    if (!config_wants_table(c->asked->p->config, table) || was_listed(c->asked->p, table) ||
        name_map_has(&c->places.by_name, table))
        return;
    c->wanted++;
    add_failed(c, table, "filter.collection.white names it and it does not exist", false);
}

/* ---- all of them ---- */

static void take_census(struct census *c)
{
    const struct producer *p = c->asked->p;

    placement_read(&c->places, p->cache);
    c->names = table_names_new(p->config);
    for (size_t i = 0; i < c->places.count; i++)
        if (config_wants_table(p->config, c->places.all[i].table))
            count_place(c, &c->places.all[i]);
    for (size_t i = 0; i < p->listed_count; i++)
        if (!name_map_has(&c->places.by_name, p->listed[i]))
            count_listed(c, p->listed[i]);
    config_list_each(p->config, "filter.collection.white", count_named, c);
}

static void census_release(struct census *c)
{
    placement_release(&c->places);
    table_names_free(c->names);
    for (size_t i = 0; i < c->failed_count; i++) {
        free(c->failed[i].table);
        free(c->failed[i].reason);
    }
    free(c->failed);
}

static int exit_code(const struct census *c)
{
    if (c->blames[BLAME_NAME] == c->failed_count)
        return EXIT_CONFIGURATION;
    return c->blames[BLAME_RIGHT] == c->failed_count ? EXIT_NO_RIGHT : EXIT_FATAL;
}

static int refuse(const struct census *c, struct error *err)
{
    AUTO(buf_release) struct buf text;
    size_t named = 0;

    buf_init(&text, 65536);
    for (; named < MIN(c->failed_count, LOGGED_AT_MOST); named++) {
        const struct failed *f = &c->failed[named];

        log_error("snapshot is not committed", "table=%s reason=%s", f->table, f->reason);
        if (text.len < sizeof(err->message) / 2)
            buf_printf(&text, "%s%s: %.120s", named ? "; " : "", f->table, f->reason);
        else
            buf_printf(&text, ", %s", f->table);
    }
    if (named < c->failed_count)
        log_error("snapshot is not committed", "more_tables=%zu", c->failed_count - named);
    return error_fatal(err, exit_code(c),
                       "the snapshot of %zu of %zu tables is not committed: %s",
                       c->failed_count, c->wanted, buf_cstr(&text));
}

int full_end(const struct full_asked *asked, struct error *err)
{
    AUTO(census_release) struct census c = {.asked = asked};

    take_census(&c);
    if (c.waiting > 0 || (c.wanted == 0 && !asked->is_settled))
        return 0;
    if (c.wanted == 0)
        return error_fatal(err, EXIT_FATAL, "the source has no table that passes the filters");
    return c.failed_count > 0 ? refuse(&c, err) : 1;
}

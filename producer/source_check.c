#include "producer/source_check.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/stop.h"
#include "producer/source_identity.h"
#include "producer/table_names.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int source_check_list(char ***ret, size_t *ret_count, struct ddb_client *client,
                      struct error *err)
{
    if (ddb_names_list(ret, ret_count, client, err) < 0)
        return -1;
    if (*ret_count > 1)
        qsort(*ret, *ret_count, sizeof(**ret), by_name);
    return 0;
}

/* Into p->listed; may be called again. */
static int list_wanted(struct producer *p, struct ddb_client *client, struct error *err)
{
    char **names;
    size_t all, kept = 0;

    if (source_check_list(&names, &all, client, err) < 0)
        return -1;
    for (size_t i = 0; i < all; i++) {
        if (config_wants_table(p->config, names[i]))
            names[kept++] = names[i];
        else
            free(names[i]);
    }
    ddb_names_free(p->listed, p->listed_count);
    p->listed = names;
    p->listed_count = kept;
    return 0;
}

static int ask(struct producer *p, struct ddb_client *client, struct error *err)
{
    if (list_wanted(p, client, err) < 0)
        return -1;
    return source_identity_new(&p->identity, p, client, p->listed, p->listed_count, err);
}

static int ask_with_patience(struct producer *p, struct ddb_client *client, struct error *err)
{
    int64_t end = clock_mono_ms() + config_int(p->config, "start.timeout") * 1000;

    while (ask(p, client, err) < 0) {
        if (err->kind == ERR_FATAL)
            return -1;
        if (clock_mono_ms() > end) {
            err->kind = ERR_FATAL;
            err->code = EXIT_UNREACHABLE;
            return error_prefix(err, "DynamoDB does not answer");
        }
        if (stop_wait_ms(500))
            return error_set(err, ERR_RETRY, "stopped");
    }
    return 0;
}

/* ---- the white list ---- */

struct white {
    struct producer *p;
    size_t named; /* and not on the black list */
    size_t there;
    char *first;
};

static bool is_there(const struct producer *p, const char *table)
{
    AUTO(free_charp) char *key = xasprintf("place/%s", table);
    AUTO(free_charp) char *place = ledger_cache_value(p->cache, key);

    for (size_t i = 0; i < p->listed_count; i++)
        if (strcmp(p->listed[i], table) == 0)
            return true;
    return place != NULL;
}

static void note_named(void *arg, const char *table)
{
    struct white *white = arg;

    if (!config_wants_table(white->p->config, table))
        return;
    white->named++;
    white->there += is_there(white->p, table);
    if (!white->first)
        white->first = xstrdup(table);
}

static int check_white_list(struct producer *p, struct error *err)
{
    struct white white = {.p = p};
    AUTO(free_charp) char *first = NULL;
    AUTO(free_charp) char *reason = NULL;
    AUTO(table_names_freep) struct table_names *names = table_names_new(p->config);

    config_list_each(p->config, "filter.collection.white", note_named, &white);
    first = white.first;
    if (white.named > 0 && white.there == 0)
        return error_fatal(err, EXIT_CONFIGURATION,
                           white.named == 1
                               ? "table %s of filter.collection.white does not exist"
                               : "filter.collection.white names %s and others, none of which "
                                 "exists",
                           first);
    reason = white.named == 1 ? table_names_take(names, first) : NULL;
    if (reason)
        return error_fatal(err, EXIT_CONFIGURATION, "table %s: %s", first, reason);
    return 0;
}

int source_check(struct producer *p, struct error *err)
{
    struct ddb_client *client = ddb_client_new(p->source);
    int result = ask_with_patience(p, client, err);

    ddb_client_free(client);
    return result == 0 ? check_white_list(p, err) : -1;
}

#include "producer/source_identity.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/dynamodb/ddb_names.h"
#include "common/dynamodb/ddb_table.h"
#include "common/run/health.h"
#include "common/run/log.h"

#define TABLES_ASKED 20 /* whose ids are compared */
#define ACCOUNT_ASKED 3
#define AGAIN_MS 1000
#define REFUSED_AGAIN_MS 5000 /* many tables were asked about */

struct source_identity {
    /* set once */
    struct producer *p;
    struct ledger_source mine;
    char *text; /* mine, as the record has it */

    /* of the owner's thread */
    uint64_t seen_version;
    bool seen;

    pthread_mutex_t lock; /* all below */
    struct step step;
    bool asking;  /* the step is scheduled */
    char *judged; /* the record's value that the verdict is about */
    enum source_match verdict;
    struct error why; /* of SOURCE_OTHER */

    struct health *doubt; /* of the step, while there is no verdict */
};

/* ---- what we are ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_amazons(const char *host)
{
    AUTO(free_charp) char *name = xstrndup(host, strcspn(host, ":"));

    return ends_with(name, ".amazonaws.com") || ends_with(name, ".amazonaws.com.cn") ||
           ends_with(name, ".api.aws") || ends_with(name, ".api.amazonwebservices.com.cn");
}

/* arn:aws:dynamodb:REGION:ACCOUNT:table/NAME; "" when it is none. */
static char *account_of(const char *arn)
{
    for (int colons = 0; arn && colons < 4; colons++) {
        arn = strchr(arn, ':');
        arn = arn ? arn + 1 : NULL;
    }
    return arn ? xstrndup(arn, strcspn(arn, ":")) : xstrdup("");
}

/* "" when it is not known: the right to describe tables may be missing. */
static char *find_account(struct ddb_client *client, char *const *names, size_t count)
{
    struct error err;

    for (size_t n = 0; n < MIN(count, ACCOUNT_ASKED); n++) {
        AUTO(ddb_table_freep) struct ddb_table *desc = NULL;

        if (ddb_table_describe(&desc, client, names[n], &err) == 0)
            return account_of(desc->arn);
        log_info("account not known from this table", "table=%s reason=%s", names[n],
                 err.message);
    }
    return xstrdup("");
}

static int describe_mine(struct source_identity *identity, struct ddb_client *client,
                         char *const *names, size_t count, struct error *err)
{
    const struct config *c = identity->p->config;
    AUTO(free_charp) char *region = NULL;
    AUTO(buf_release) struct buf text;
    struct ddb_endpoint endpoint;
    bool amazons;

    if (aws_credentials_region(&region, c, err) < 0 ||
        ddb_endpoint_find(&endpoint, DDB_TABLES, config_string(c, "source.endpoint_url"),
                          region, err) < 0)
        return -1;
    amazons = is_amazons(endpoint.host);
    identity->mine.account = amazons ? find_account(client, names, count) : xstrdup("");
    identity->mine.region = xstrdup(amazons && region ? region : "");
    identity->mine.endpoint = xstrdup(amazons ? "" : endpoint.url);
    identity->mine.prefix = xstrdup(identity->p->prefix);
    ddb_endpoint_release(&endpoint);
    buf_init(&text, 65536);
    ledger_source_encode(&text, &identity->mine);
    identity->text = bytes_dup(buf_slice(&text));
    return 0;
}

/* ---- comparing ---- */

static bool differ(const char *mine, const char *theirs)
{
    return *mine && *theirs && strcmp(mine, theirs) != 0;
}

enum source_match source_identity_compare(const struct ledger_source *mine,
                                          const struct ledger_source *theirs)
{
    if (strcmp(mine->prefix, theirs->prefix) != 0)
        return SOURCE_OTHER;
    if (!*mine->endpoint && !*theirs->endpoint)
        return differ(mine->account, theirs->account) || differ(mine->region, theirs->region)
                   ? SOURCE_OTHER
                   : SOURCE_SAME;
    return strcmp(mine->endpoint, theirs->endpoint) == 0 ? SOURCE_SAME : SOURCE_ASK;
}

static char *in_words(const struct ledger_source *source)
{
    if (*source->endpoint)
        return xasprintf("%s (prefix %s)", source->endpoint, source->prefix);
    return xasprintf("account %s, region %s (prefix %s)",
                     *source->account ? source->account : "unknown",
                     *source->region ? source->region : "unknown", source->prefix);
}

static int refuse(const struct source_identity *identity, const struct ledger_source *theirs,
                  struct error *err)
{
    AUTO(free_charp) char *mine = in_words(&identity->mine);
    AUTO(free_charp) char *other = in_words(theirs);

    return error_fatal(
        err, EXIT_CONFIGURATION,
        "topic %s is of another source: it is for %s, this is %s: choose another "
        "topic.prefix",
        identity->p->ledger_topic, other, mine);
}

struct known {
    char *tables[TABLES_ASKED];
    char *ids[TABLES_ASKED];
    size_t count;
};

static void note_id(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct known *known = arg;
    struct error ignored; /* the table's worker reports it */

    (void)table;
    (void)partition;
    if (known->count == TABLES_ASKED || ledger_table_decode(&t, value, &ignored) < 0 ||
        !*t.table_id)
        return;
    known->tables[known->count] = TAKE(t.table);
    known->ids[known->count++] = TAKE(t.table_id);
}

static void known_release(struct known *known)
{
    for (size_t n = 0; n < known->count; n++) {
        free(known->tables[n]);
        free(known->ids[n]);
    }
}

enum source_match source_identity_judge(const struct source_answers *answers)
{
    if (answers->same)
        return SOURCE_SAME;
    if (answers->other)
        return SOURCE_OTHER;
    return answers->absent && !answers->silent ? SOURCE_OTHER : SOURCE_ASK;
}

static bool is_listed(char *const *names, size_t count, const char *table)
{
    for (size_t n = 0; n < count; n++)
        if (strcmp(names[n], table) == 0)
            return true;
    return false;
}

/* How many of these, which were not found, are not in the list of all tables either. */
static int count_absent(size_t *ret, struct ddb_client *client, char *const *tables,
                        size_t count, struct error *err)
{
    char **names;
    size_t all, absent = 0;

    if (count > 0 && ddb_names_list(&names, &all, client, err) < 0)
        return -1;
    for (size_t n = 0; n < count; n++)
        absent += !is_listed(names, all, tables[n]);
    if (count > 0)
        ddb_names_free(names, all);
    *ret = absent;
    return 0;
}

/* Until one is the same. err: the last failure, if any table was silent. */
static void ask_source(struct source_answers *ret, struct ddb_client *client,
                       const struct known *known, struct error *err)
{
    char *not_found[TABLES_ASKED];
    size_t missing = 0;

    *ret = (struct source_answers){0};
    for (size_t n = 0; n < known->count && !ret->same; n++) {
        AUTO(ddb_table_freep) struct ddb_table *desc = NULL;

        if (ddb_table_describe(&desc, client, known->tables[n], err) == 0)
            ++*(strcmp(desc->id, known->ids[n]) == 0 ? &ret->same : &ret->other);
        else if (err->kind == ERR_DATA)
            not_found[missing++] = known->tables[n];
        else
            ret->silent++;
    }
    if (ret->same || ret->other ||
        count_absent(&ret->absent, client, not_found, missing, err) < 0)
        ret->silent += missing;
    else
        ret->silent += missing - ret->absent;
}

/* SOURCE_ASK: it is not known now, err says why. *ret_known: the ledger knows a table's id. */
static enum source_match compare(const struct source_identity *identity,
                                 struct ddb_client *client, const struct ledger_source *theirs,
                                 bool *ret_known, struct error *err)
{
    AUTO(known_release) struct known known = {0};
    enum source_match match = source_identity_compare(&identity->mine, theirs);
    struct source_answers answers;

    *ret_known = true;
    if (match != SOURCE_ASK)
        return match;
    ledger_cache_each(identity->p->cache, "table/", note_id, &known);
    *ret_known = known.count > 0;
    if (known.count == 0)
        error_set(err, ERR_RETRY, "it knows no table's id yet");
    ask_source(&answers, client, &known, err);
    return source_identity_judge(&answers);
}

/* ---- at the start ---- */

static void note_any(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    (void)rest;
    (void)value;
    (void)partition;
    *(bool *)arg = true;
}

static int check_start(struct source_identity *identity, struct ddb_client *client,
                       struct error *err)
{
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    AUTO(free_charp) char *text = ledger_cache_value(identity->p->cache, LEDGER_SOURCE_KEY);
    bool known, placed = false;
    enum source_match match;

    if (!text || strcmp(text, identity->text) == 0)
        return 0;
    if (ledger_source_decode(&theirs, bytes_of(text), err) < 0) {
        err->kind = ERR_FATAL;
        err->code = EXIT_CONFIGURATION;
        return error_prefix(err, "topic %s, record " LEDGER_SOURCE_KEY,
                            identity->p->ledger_topic);
    }
    match = compare(identity, client, &theirs, &known, err);
    if (match == SOURCE_OTHER)
        return refuse(identity, &theirs, err);
    ledger_cache_each(identity->p->cache, "place/", note_any, &placed);
    if (match == SOURCE_ASK && (known || placed)) /* a ledger without tables is nobody's */
        return 0;
    log_info("ledger taken as ours", "topic=%s record=%s ours=%s", identity->p->ledger_topic,
             text, identity->text);
    identity->judged = TAKE(text);
    identity->verdict = SOURCE_SAME;
    return 0;
}

/* ---- while it runs ---- */

static void judge(struct source_identity *identity, char **text, enum source_match verdict)
{
    AUTO_LOCK(&identity->lock);
    free(identity->judged);
    identity->judged = TAKE(*text);
    identity->verdict = verdict;
}

/* No table is started meanwhile, so the user has to know. */
static void doubt(struct source_identity *identity, const struct ledger_source *theirs,
                  const char *reason)
{
    AUTO(free_charp) char *mine = in_words(&identity->mine);
    AUTO(free_charp) char *other = in_words(theirs);
    AUTO(free_charp)
    char *text = xasprintf("topic %s is for %s, this is %s, and whether both are the same "
                           "can't be told now (%s): give all instances the same spelling",
                           identity->p->ledger_topic, other, mine, reason);

    if (!identity->doubt) {
        identity->doubt =
            health_new("source", config_int(identity->p->config, "health.limit.ms"));
        log_warn("source can't be compared now, no table is started",
                 "topic=%s theirs=%s ours=%s reason=%s", identity->p->ledger_topic, other, mine,
                 reason);
    }
    health_say(identity->doubt, text);
}

static int64_t compare_step(void *arg, void *local)
{
    struct source_identity *identity = arg;
    struct append_context *a = local;
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    AUTO(free_charp) char *text = ledger_cache_value(identity->p->cache, LEDGER_SOURCE_KEY);
    enum source_match match;
    struct error err;
    bool known;

    if (!text)
        return STEP_END;
    if (ledger_source_decode(&theirs, bytes_of(text), &err) < 0) {
        error_fatal(&identity->why, EXIT_CONFIGURATION,
                    "record " LEDGER_SOURCE_KEY " of topic %s: %s", identity->p->ledger_topic,
                    err.message);
        judge(identity, &text, SOURCE_OTHER);
        return STEP_END;
    }
    match = compare(identity, a->client, &theirs, &known, &err);
    if (match == SOURCE_ASK) {
        doubt(identity, &theirs, err.message);
        return known ? REFUSED_AGAIN_MS : AGAIN_MS;
    }
    if (match == SOURCE_OTHER)
        refuse(identity, &theirs, &identity->why);
    judge(identity, &text, match);
    return STEP_END;
}

static void compare_ended(void *arg)
{
    struct source_identity *identity = arg;

    health_remove(TAKE(identity->doubt));
    AUTO_LOCK(&identity->lock);
    identity->asking = false;
}

/* ---- life ---- */

int source_identity_new(struct source_identity **ret, struct producer *p,
                        struct ddb_client *client, char *const *names, size_t count,
                        struct error *err)
{
    struct source_identity *identity = xcalloc(1, sizeof(*identity));

    identity->p = p;
    pthread_mutex_init(&identity->lock, NULL);
    identity->step =
        (struct step){.run = compare_step, .ended = compare_ended, .arg = identity};
    if (describe_mine(identity, client, names, count, err) < 0 ||
        check_start(identity, client, err) < 0) {
        source_identity_free(identity);
        return -1;
    }
    *ret = identity;
    return 0;
}

void source_identity_free(struct source_identity *identity)
{
    if (!identity)
        return;
    health_remove(identity->doubt);
    pthread_mutex_destroy(&identity->lock);
    ledger_source_release(&identity->mine);
    free(identity->text);
    free(identity->judged);
    free(identity);
}

/* ---- asked ---- */

/* Under lock. As source_identity_check. */
static int verdict_on(struct source_identity *identity, const char *text, struct error *err)
{
    if (!text || strcmp(text, identity->text) == 0)
        return 1;
    if (!identity->judged || strcmp(identity->judged, text) != 0)
        return 0;
    if (identity->verdict == SOURCE_SAME)
        return 1;
    *err = identity->why;
    return -1;
}

int source_identity_check(struct source_identity *identity, struct error *err)
{
    uint64_t version = ledger_cache_places_version(identity->p->cache);
    AUTO(free_charp) char *text = NULL;
    bool ask;
    int ours;

    if (identity->seen && version == identity->seen_version)
        return 1;
    text = ledger_cache_value(identity->p->cache, LEDGER_SOURCE_KEY);
    pthread_mutex_lock(&identity->lock);
    ours = verdict_on(identity, text, err);
    ask = ours == 0 && !identity->asking;
    identity->asking = identity->asking || ask;
    pthread_mutex_unlock(&identity->lock);
    if (ask)
        step_schedule(identity->p->pool, &identity->step, 0);
    identity->seen = ours == 1;
    identity->seen_version = version;
    return ours;
}

/* A record that also knows the account is kept when we may not look ours up. */
static bool says_as_much(const struct source_identity *identity, const char *text)
{
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    struct error ignored; /* then it is written anew */

    if (strcmp(text, identity->text) == 0)
        return true;
    return ledger_source_decode(&theirs, bytes_of(text), &ignored) == 0 &&
           source_identity_compare(&identity->mine, &theirs) == SOURCE_SAME &&
           !*identity->mine.account;
}

bool source_identity_to_write(struct source_identity *identity, struct buf *out)
{
    AUTO(free_charp) char *text = ledger_cache_value(identity->p->cache, LEDGER_SOURCE_KEY);

    if (text && says_as_much(identity, text))
        return false;
    buf_bytes(out, bytes_of(identity->text));
    return true;
}

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
    bool asking;
    char *judged; /* the record's value that verdict is about */
    enum source_match verdict;
    struct error why; /* of SOURCE_OTHER */

    struct health *doubt; /* of the step, while it can't be told */
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

/* A right to describe tables may be missing: then it is not known. */
static char *find_account(struct ddb_client *client, char *const *names, size_t count)
{
    struct error err;

    for (size_t n = 0; n < MIN(count, ACCOUNT_ASKED); n++) {
        AUTO(ddb_table_freep) struct ddb_table *desc = NULL;

        if (ddb_table_describe(&desc, client, names[n], &err) == 0)
            return account_of(desc->arn);
        log_info("table tells no account", "table=%s reason=%s", names[n], err.message);
    }
    return xstrdup("");
}

static int describe_mine(struct source_identity *i, struct ddb_client *client,
                         char *const *names, size_t count, struct error *err)
{
    const struct config *c = i->p->config;
    AUTO(free_charp) char *region = NULL;
    AUTO(buf_release) struct buf text;
    struct ddb_endpoint endpoint;
    bool amazons;

    if (aws_credentials_region(&region, c, err) < 0 ||
        ddb_endpoint_find(&endpoint, DDB_TABLES, config_string(c, "source.endpoint_url"),
                          region, err) < 0)
        return -1;
    amazons = is_amazons(endpoint.host);
    i->mine.account = amazons ? find_account(client, names, count) : xstrdup("");
    i->mine.region = xstrdup(amazons && region ? region : "");
    i->mine.endpoint = xstrdup(amazons ? "" : endpoint.url);
    i->mine.prefix = xstrdup(i->p->prefix);
    ddb_endpoint_release(&endpoint);
    buf_init(&text, 65536);
    ledger_source_encode(&text, &i->mine);
    i->text = bytes_dup(buf_slice(&text));
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

static char *in_words(const struct ledger_source *s)
{
    if (*s->endpoint)
        return xasprintf("%s (prefix %s)", s->endpoint, s->prefix);
    return xasprintf("account %s, region %s (prefix %s)", *s->account ? s->account : "unknown",
                     *s->region ? s->region : "unknown", s->prefix);
}

static int refuse(const struct source_identity *i, const struct ledger_source *theirs,
                  struct error *err)
{
    AUTO(free_charp) char *mine = in_words(&i->mine);
    AUTO(free_charp) char *other = in_words(theirs);

    return error_fatal(
        err, EXIT_CONFIGURATION,
        "topic %s is of another source: it is for %s, this is %s: choose another "
        "topic.prefix",
        i->p->ledger_topic, other, mine);
}

struct known {
    char *tables[TABLES_ASKED];
    char *ids[TABLES_ASKED];
    size_t count;
};

static void note_id(void *arg, struct bytes table, struct bytes value, int32_t partition)
{
    AUTO(ledger_table_release) struct ledger_table t = {0};
    struct known *k = arg;
    struct error ignored; /* who reads the record says so */

    (void)table;
    (void)partition;
    if (k->count == TABLES_ASKED || ledger_table_decode(&t, value, &ignored) < 0 ||
        !*t.table_id)
        return;
    k->tables[k->count] = TAKE(t.table);
    k->ids[k->count++] = TAKE(t.table_id);
}

static void known_release(struct known *k)
{
    for (size_t n = 0; n < k->count; n++) {
        free(k->tables[n]);
        free(k->ids[n]);
    }
}

enum source_match source_identity_judge(const struct source_answers *a)
{
    if (a->same)
        return SOURCE_SAME;
    if (a->other)
        return SOURCE_OTHER;
    return a->absent && !a->silent ? SOURCE_OTHER : SOURCE_ASK;
}

static bool is_listed(char *const *names, size_t count, const char *table)
{
    for (size_t n = 0; n < count; n++)
        if (strcmp(names[n], table) == 0)
            return true;
    return false;
}

/* Those that were not found are absent if a list says so, too. In *ret how many are. */
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

/* Until one is the same. In err the last failure, if any is silent. */
static void ask_source(struct source_answers *ret, struct ddb_client *client,
                       const struct known *k, struct error *err)
{
    char *not_found[TABLES_ASKED];
    size_t missing = 0;

    *ret = (struct source_answers){0};
    for (size_t n = 0; n < k->count && !ret->same; n++) {
        AUTO(ddb_table_freep) struct ddb_table *desc = NULL;

        if (ddb_table_describe(&desc, client, k->tables[n], err) == 0)
            ++*(strcmp(desc->id, k->ids[n]) == 0 ? &ret->same : &ret->other);
        else if (err->kind == ERR_DATA)
            not_found[missing++] = k->tables[n];
        else
            ret->silent++;
    }
    if (ret->same || ret->other ||
        count_absent(&ret->absent, client, not_found, missing, err) < 0)
        ret->silent += missing;
    else
        ret->silent += missing - ret->absent;
}

/* SOURCE_ASK: it can't be told now; err says why. *ret_known: the ledger knows a table's id. */
static enum source_match compare(const struct source_identity *i, struct ddb_client *client,
                                 const struct ledger_source *theirs, bool *ret_known,
                                 struct error *err)
{
    AUTO(known_release) struct known k = {0};
    enum source_match match = source_identity_compare(&i->mine, theirs);
    struct source_answers answers;

    *ret_known = true;
    if (match != SOURCE_ASK)
        return match;
    ledger_cache_each(i->p->cache, "table/", note_id, &k);
    *ret_known = k.count > 0;
    if (k.count == 0)
        error_set(err, ERR_RETRY, "it knows no table's id yet");
    ask_source(&answers, client, &k, err);
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

static int check_start(struct source_identity *i, struct ddb_client *client, struct error *err)
{
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    AUTO(free_charp) char *text = ledger_cache_value(i->p->cache, LEDGER_SOURCE_KEY);
    bool known, placed = false;
    enum source_match match;

    if (!text || strcmp(text, i->text) == 0)
        return 0;
    if (ledger_source_decode(&theirs, bytes_of(text), err) < 0) {
        err->kind = ERR_FATAL;
        err->code = EXIT_CONFIGURATION;
        return error_prefix(err, "topic %s, record " LEDGER_SOURCE_KEY, i->p->ledger_topic);
    }
    match = compare(i, client, &theirs, &known, err);
    if (match == SOURCE_OTHER)
        return refuse(i, &theirs, err);
    ledger_cache_each(i->p->cache, "place/", note_any, &placed);
    if (match == SOURCE_ASK && (known || placed)) /* what has no table at all is nobody's yet */
        return 0;
    log_info("ledger is taken for ours", "topic=%s record=%s ours=%s", i->p->ledger_topic, text,
             i->text);
    i->judged = TAKE(text);
    i->verdict = SOURCE_SAME;
    return 0;
}

/* ---- while it runs ---- */

static void judge(struct source_identity *i, char **text, enum source_match verdict)
{
    AUTO_LOCK(&i->lock);
    free(i->judged);
    i->judged = TAKE(*text);
    i->verdict = verdict;
}

/* Nothing is started meanwhile, so it is told. */
static void doubt(struct source_identity *i, const struct ledger_source *theirs,
                  const char *reason)
{
    AUTO(free_charp) char *mine = in_words(&i->mine);
    AUTO(free_charp) char *other = in_words(theirs);
    AUTO(free_charp)
    char *text = xasprintf("topic %s is for %s, this is %s, and whether both are the same "
                           "can't be told now (%s): give all instances the same spelling",
                           i->p->ledger_topic, other, mine, reason);

    if (!i->doubt) {
        i->doubt = health_new("source", config_int(i->p->config, "health.limit.ms"));
        log_warn("source can't be compared now, and no table is started",
                 "topic=%s theirs=%s ours=%s reason=%s", i->p->ledger_topic, other, mine,
                 reason);
    }
    health_say(i->doubt, text);
}

static int64_t compare_step(void *arg, void *local)
{
    struct source_identity *i = arg;
    struct append_context *l = local;
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    AUTO(free_charp) char *text = ledger_cache_value(i->p->cache, LEDGER_SOURCE_KEY);
    enum source_match match;
    struct error err;
    bool known;

    if (!text)
        return STEP_END;
    if (ledger_source_decode(&theirs, bytes_of(text), &err) < 0) {
        error_fatal(&i->why, EXIT_CONFIGURATION, "record " LEDGER_SOURCE_KEY " of topic %s: %s",
                    i->p->ledger_topic, err.message);
        judge(i, &text, SOURCE_OTHER);
        return STEP_END;
    }
    match = compare(i, l->client, &theirs, &known, &err);
    if (match == SOURCE_ASK) {
        doubt(i, &theirs, err.message);
        return known ? REFUSED_AGAIN_MS : AGAIN_MS;
    }
    if (match == SOURCE_OTHER)
        refuse(i, &theirs, &i->why);
    judge(i, &text, match);
    return STEP_END;
}

static void compare_ended(void *arg)
{
    struct source_identity *i = arg;

    health_remove(TAKE(i->doubt));
    AUTO_LOCK(&i->lock);
    i->asking = false;
}

/* ---- life ---- */

int source_identity_new(struct source_identity **ret, struct producer *p,
                        struct ddb_client *client, char *const *names, size_t count,
                        struct error *err)
{
    struct source_identity *i = xcalloc(1, sizeof(*i));

    i->p = p;
    pthread_mutex_init(&i->lock, NULL);
    i->step = (struct step){.run = compare_step, .ended = compare_ended, .arg = i};
    if (describe_mine(i, client, names, count, err) < 0 || check_start(i, client, err) < 0) {
        source_identity_free(i);
        return -1;
    }
    *ret = i;
    return 0;
}

void source_identity_free(struct source_identity *i)
{
    if (!i)
        return;
    health_remove(i->doubt);
    pthread_mutex_destroy(&i->lock);
    ledger_source_release(&i->mine);
    free(i->text);
    free(i->judged);
    free(i);
}

/* ---- asked ---- */

/* Under lock. 1: no difference, or known to be none. */
static int verdict_on(struct source_identity *i, const char *text, struct error *err)
{
    if (!text || strcmp(text, i->text) == 0)
        return 1;
    if (!i->judged || strcmp(i->judged, text) != 0)
        return 0;
    if (i->verdict == SOURCE_SAME)
        return 1;
    *err = i->why;
    return -1;
}

int source_identity_check(struct source_identity *i, struct error *err)
{
    uint64_t version = ledger_cache_places_version(i->p->cache);
    AUTO(free_charp) char *text = NULL;
    bool ask;
    int ours;

    if (i->seen && version == i->seen_version)
        return 1;
    text = ledger_cache_value(i->p->cache, LEDGER_SOURCE_KEY);
    pthread_mutex_lock(&i->lock);
    ours = verdict_on(i, text, err);
    ask = ours == 0 && !i->asking;
    i->asking = i->asking || ask;
    pthread_mutex_unlock(&i->lock);
    if (ask)
        step_schedule(i->p->pool, &i->step, 0);
    i->seen = ours == 1;
    i->seen_version = version;
    return ours;
}

/* An account that we may not look up is not taken out of the record. */
static bool says_as_much(const struct source_identity *i, const char *text)
{
    AUTO(ledger_source_release) struct ledger_source theirs = {0};
    struct error ignored; /* then it is written anew */

    if (strcmp(text, i->text) == 0)
        return true;
    return ledger_source_decode(&theirs, bytes_of(text), &ignored) == 0 &&
           source_identity_compare(&i->mine, &theirs) == SOURCE_SAME && !*i->mine.account;
}

bool source_identity_to_write(struct source_identity *i, struct buf *out)
{
    AUTO(free_charp) char *text = ledger_cache_value(i->p->cache, LEDGER_SOURCE_KEY);

    if (text && says_as_much(i, text))
        return false;
    buf_bytes(out, bytes_of(i->text));
    return true;
}

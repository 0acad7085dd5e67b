/* consumer/main.c - dynaferry-consumer: the log into MongoDB.
 *
 * Checks the target, opens Kafka and the ledger, starts the writers, and serves the group until
 * a stop is requested; then everything goes down in the opposite order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/exit_code.h"
#include "common/kafka.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/program.h"
#include "common/stop.h"
#include "consumer/applier.h"
#include "consumer/group.h"

#define LEAVE_MS 8000
#define PREPARER_ENDS_MS 500
#define ENDS_WITHIN_MS 9000              /* above the one of a write that is not answered */
#define UNTIL_IDLE_MAX (365 * 24 * 3600) /* seconds */

struct consumer {
    struct applier applier;
    struct target *target;
    struct fetch *fetch;
    struct group *group;
};

/* Two runs on one host are two owners. */
static void name_owner(char *ret)
{
    char host[64] = "?";
    uint64_t random;

    gethostname(host, sizeof(host) - 1);
    CHECK(getrandom(&random, sizeof(random), 0) == sizeof(random));
    snprintf(ret, POSITION_TEXT_MAX, "%s-%d-%016" PRIx64, host, (int)getpid(), random);
}

/* ---- opening ---- */

static int64_t start_timeout_ms(const struct config *c)
{
    return config_int(c, "start.timeout") * 1000;
}

/* Topics of its own may be missing when this program starts first. */
static int open_topics(struct consumer *n, struct error *err)
{
    const struct config *c = n->applier.config;
    rd_kafka_t *rk = fetch_handle(n->fetch);
    int64_t end = clock_mono_ms() + start_timeout_ms(c);

    if (kafka_wait_broker(rk, c, start_timeout_ms(c), err) < 0)
        return -1;
    while (kafka_ensure_own_topics(rk, c, err) < 0 ||
           ledger_cache_new(&n->applier.ledger, c, err) < 0)
        if (kafka_start_again(c, end, err) < 0)
            return -1;
    return 0;
}

static bool owns_first(void *arg, const char *topic)
{
    struct applier *a = arg;
    struct partition *first = pool_find(a->pool, topic, 0);

    return first && atomic_load(&first->assigned);
}

static void table_changed(void *arg, struct table *t)
{
    struct applier *a = arg;

    pool_wake_table(a->pool, t);
}

static void open_preparer(struct consumer *n)
{
    struct applier *a = &n->applier;
    struct preparer_setup setup = {.config = a->config,
                                   .target = a->target,
                                   .ledger = a->ledger,
                                   .tables = a->tables,
                                   .rk = fetch_handle(n->fetch),
                                   .owns_first = owns_first,
                                   .changed = table_changed,
                                   .arg = a};

    a->preparer = preparer_new(&setup);
}

static int open_all(struct consumer *n, struct error *err)
{
    struct applier *a = &n->applier;
    const struct config *c = a->config;
    struct pool_work work = {.step = applier_step,
                             .open = applier_worker_open,
                             .close = applier_worker_close,
                             .arg = a};

    if (target_new(&n->target, c, "dynaferry-consumer", err) < 0 ||
        fetch_new(&n->fetch, c, err) < 0 || dead_letters_new(&a->letters, c, err) < 0 ||
        target_wait(n->target, start_timeout_ms(c), err) < 0 || open_topics(n, err) < 0)
        return -1;
    a->target = n->target;
    a->tables = tables_new(c, a->ledger);
    name_owner(a->me);
    a->limits = (struct intake_limits){(size_t)config_int(c, "target.batch.count"),
                                       (size_t)config_int(c, "target.batch.bytes")};
    a->linger_ms = config_int(c, "target.batch.ms");
    a->session_ms = GROUP_SESSION_MS;
    atomic_store(&a->last_poll, clock_mono_ms());
    a->pool = pool_new((int)config_int(c, "target.writers"), &work);
    open_preparer(n);
    return group_new(&n->group, a, n->fetch, err);
}

static void close_all(struct consumer *n)
{
    pool_free(n->applier.pool);
    preparer_free(n->applier.preparer);
    tables_free(n->applier.tables);
    group_free(n->group);
    ledger_cache_free(n->applier.ledger);
    dead_letters_free(n->applier.letters);
    fetch_free(n->fetch);
    target_free(n->target);
}

/* ---- running ---- */

/* A writer that still waits for an answer would hold up the end: its successor sees that there
 * was no goodbye. */
static bool leave(struct consumer *n)
{
    bool all = true;

    if (n->group) {
        all = group_leave(n->group, LEAVE_MS);
        if (!all)
            log_warn("a write was not answered in time", NULL);
        all = pool_stop(n->applier.pool, all ? LEAVE_MS : 0) && all;
    }
    if (n->applier.preparer &&
        !preparer_stop(n->applier.preparer, all ? PREPARER_ENDS_MS : 0)) {
        log_warn("a table was still being worked on", NULL);
        all = false;
    }
    return all;
}

static int serve(struct consumer *n, int64_t idle_ms, struct error *err)
{
    int result = open_all(n, err);

    if (result < 0)
        return -1;
    health_ready(true);
    return group_run(n->group, idle_ms, err);
}

static int run(const struct config *c, const struct config_extra *extras, struct error *err)
{
    struct consumer n = {.applier = {.config = c}};
    int64_t idle_ms = -1; /* not given */
    int result;

    if (config_extra_ms(extras, "until-idle", UNTIL_IDLE_MAX, &idle_ms, err) < 0)
        return -1;
    if (config_is_set(c, "checkpoint.db"))
        log_warn("checkpoint.db is not read yet", NULL);
    mongoc_init();
    result = serve(&n, idle_ms, err);
    if (!leave(&n)) {
        log_info("ends", "result=%d", result);
        log_close();
        _exit(result < 0 && !stop_requested() ? EXIT_FATAL : EXIT_WELL);
    }
    close_all(&n);
    mongoc_cleanup();
    return result;
}

int main(int argc, char **argv)
{
    struct config_extra extras[] = {
        {.name = "until-idle",
         .wanted = "SECONDS",
         .help = "End when everything was applied and nothing came for so many seconds."},
        {0}};
    const struct program program = {.which = CONFIG_CONSUMER,
                                    .name = "dynaferry-consumer",
                                    .extras = extras,
                                    .ends_within_ms = ENDS_WITHIN_MS,
                                    .run = run};

    return program_main(&program, argc, argv);
}

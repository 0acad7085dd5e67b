#include "producer/start_trouble.h"

#include "common/base/clock.h"
#include "common/dynamodb/ddb_client.h"

#define SOON_LONGEST_MS 2000

static int64_t later(struct table_worker *w)
{
    int64_t delay = ddb_error_retry_ms(DDB_THROTTLED, &w->start_tries);

    return MAX(delay, 1);
}

int64_t start_trouble_soon(struct table_worker *w)
{
    int64_t delay = later(w);

    return MIN(delay, SOON_LONGEST_MS);
}

int64_t start_trouble_retry(struct table_worker *w, const char *what, const struct error *err)
{
    table_worker_trouble(w, what, err);
    return later(w);
}

/* Under lock. It is in the ledger already; but who asked for another look waits for the end of
 * it. */
static void stay_halted(struct table_worker *w, enum ledger_phase phase, const char *reason)
{
    if (w->known.retry)
        table_worker_halt_locked(w, phase, reason);
    else
        table_worker_set_state(w, WORKER_HALTED);
}

static int64_t doubted(struct table_worker *w, enum ledger_phase phase, const char *reason,
                       int64_t doubt_ms)
{
    const struct ledger_table *t = &w->known;
    struct error err = {0};

    pthread_mutex_lock(&w->lock);
    if (t->phase == phase && strcmp(t->reason, reason) == 0) {
        stay_halted(w, phase, reason);
        pthread_mutex_unlock(&w->lock);
        return 0;
    }
    pthread_mutex_unlock(&w->lock);
    error_set(&err, ERR_RETRY, "%s", reason);
    table_worker_trouble(w, "it can't start", &err);
    if (doubt_said(&w->start, reason, clock_mono_ms(), doubt_ms))
        table_worker_halt(w, phase, reason);
    return doubt_again_ms(&w->start, doubt_ms);
}

int64_t start_trouble_doubt(struct table_worker *w, enum ledger_phase phase, const char *reason)
{
    return doubted(w, phase, reason, config_int(w->p->config, "source.doubt.ms"));
}

int64_t start_trouble_halt(struct table_worker *w, const struct start_decision *decision)
{
    int64_t doubt_ms = config_int(w->p->config, "source.doubt.ms");

    return doubted(w, decision->phase, decision->reason,
                   start_decision_doubt_ms(decision, doubt_ms));
}

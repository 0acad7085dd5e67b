/* A round: is it ours to write? Then each table is brought up to date, then status_table, and
 * now and then what is not wanted any more is removed. */
#include "consumer/checkpoint_view.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/kafka/kafka.h"
#include "common/run/log.h"
#include "common/run/metrics.h"
#include "common/run/stop.h"
#include "consumer/checkpoint_doc.h"
#include "consumer/checkpoint_table.h"
#include "consumer/checkpoint_writer.h"

#define ROUND_MS 5000

struct view_table {
    struct checkpoint_table *table;
    struct ledger_table record;
    struct checkpoint_shown shown;
    bool listed; /* in this round */
    UT_hash_handle hh;
};

struct checkpoint_view {
    /* set once */
    struct checkpoint_view_setup setup;
    struct mongo_target *target; /* checkpoint.db */
    char *mark;
    pthread_t thread;
    struct metric *looked;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    int running; /* 1: the thread */

    /* of the thread */
    struct checkpoint_source from;
    struct checkpoint_writer *writer;
    struct view_table *tables;
    struct checkpoint_shown status;
    const char *told; /* what status_table is to say; NULL: not known yet */
    bool ours;
    bool to_clean; /* a table is gone from the ledger */
};

static bool ends(struct checkpoint_view *view)
{
    AUTO_LOCK(&view->lock);
    return view->stopping || stop_requested();
}

/* ---- the tables of the ledger ---- */

static void table_remove(struct checkpoint_view *view, struct view_table *t)
{
    HASH_DEL(view->tables, t);
    checkpoint_writer_forget(view->writer, &t->shown);
    checkpoint_table_free(t->table);
    ledger_table_release(&t->record);
    free(t);
}

static struct view_table *table_of(struct checkpoint_view *view, const char *name)
{
    struct view_table *t;

    HASH_FIND_STR(view->tables, name, t);
    if (t)
        return t;
    t = xcalloc(1, sizeof(*t));
    t->table = checkpoint_table_new(name);
    t->shown.name = t->table->name;
    HASH_ADD_KEYPTR(hh, view->tables, t->table->name, strlen(t->table->name), t);
    return t;
}

/* A record that can't be read is still a table's: what is shown of it stays. */
static void list_table(void *arg, struct bytes rest, struct bytes value, int32_t partition)
{
    struct checkpoint_view *view = arg;
    AUTO(free_charp) char *name = bytes_dup(rest);
    struct ledger_table record = {0};
    struct view_table *t;
    struct error ignored;

    (void)partition;
    if (!config_wants_table(view->setup.config, name))
        return;
    t = table_of(view, name);
    t->listed = true;
    if (ledger_table_decode(&record, value, &ignored) < 0)
        return;
    ledger_table_release(&t->record);
    t->record = record;
}

static void list_tables(struct checkpoint_view *view)
{
    struct view_table *t, *next;

    for (t = view->tables; t; t = t->hh.next)
        t->listed = false;
    ledger_cache_each(view->setup.ledger, "table/", list_table, view);
    HASH_ITER(hh, view->tables, t, next) {
        if (t->listed)
            continue;
        table_remove(view, t);
        view->to_clean = true;
    }
}

/* ---- whose it is ---- */

/* A table in a gap may have no topic, so nobody may have its partition 0. */
static bool is_followed(const struct view_table *t)
{
    return t->record.phase == PHASE_SNAPSHOT || t->record.phase == PHASE_TAIL ||
           t->record.phase == PHASE_PAUSED;
}

static bool is_before(const struct view_table *t, const struct view_table *other)
{
    if (is_followed(t) != is_followed(other))
        return is_followed(t);
    return strcmp(t->table->name, other->table->name) < 0;
}

static bool owns_it(struct checkpoint_view *view)
{
    const struct view_table *first = NULL;

    for (const struct view_table *t = view->tables; t; t = t->hh.next)
        if (t->record.generation > 0 && (!first || is_before(t, first)))
            first = t;
    return first && view->setup.owns_first(view->setup.arg, first->record.topic);
}

/* Whoever has it next may write other things meanwhile. */
static void hand_over(struct checkpoint_view *view)
{
    while (view->tables)
        table_remove(view, view->tables);
    checkpoint_writer_forget(view->writer, &view->status);
    checkpoint_writer_hand_over(view->writer);
    view->told = NULL;
    log_info("checkpoints are written elsewhere", "database=%s", view->target->database);
}

static void take_or_leave(struct checkpoint_view *view, bool ours)
{
    if (ours == view->ours)
        return;
    view->ours = ours;
    if (!ours)
        hand_over(view);
    else
        log_info("checkpoints are written here", "database=%s", view->target->database);
}

/* ---- a round ---- */

static void show_table(struct checkpoint_view *view, struct view_table *t)
{
    struct error err;
    int result = checkpoint_table_follow(t->table, &view->from, &t->record, &err);

    if (result < 0)
        log_debug("checkpoints of a table wait", "table=%s reason=%s", t->table->name,
                  err.message);
    if (result > 0)
        t->shown.compare_ms = 0;
    if (strcmp(t->table->name, CHECKPOINT_STATUS_COLLECTION) == 0)
        checkpoint_writer_leave(view->writer, &t->shown);
    else if (t->table->applied)
        checkpoint_writer_show(view->writer, &t->shown, t->table->cut->docs,
                               t->table->cut->count);
}

static const char *status_of_all(const struct checkpoint_view *view)
{
    struct checkpoint_census census = {0};

    for (const struct view_table *t = view->tables; t; t = t->hh.next) {
        bool copied = checkpoint_cut_is_copied(&t->record);

        if (!checkpoint_cut_counts(&t->record))
            continue;
        census.tables++;
        census.unknown += copied && !t->table->known;
        census.uncopied += !copied || (t->table->known && !t->table->copied);
    }
    return checkpoint_cut_status(&census);
}

static void show_status(struct checkpoint_view *view)
{
    const char *value = status_of_all(view);
    bson_t *doc;

    if (value && (!view->told || strcmp(value, view->told) != 0)) {
        view->told = value;
        view->status.compare_ms = 0;
    }
    if (!view->told)
        return;
    doc = checkpoint_doc_status(view->told, view->mark);
    checkpoint_writer_show(view->writer, &view->status, &doc, 1);
    bson_destroy(doc);
}

static bool is_wanted(void *arg, const char *collection)
{
    const struct checkpoint_view *view = arg;
    struct view_table *t;

    HASH_FIND_STR(view->tables, collection, t);
    return t || strcmp(collection, CHECKPOINT_STATUS_COLLECTION) == 0;
}

static bool goes_on(struct checkpoint_view *view)
{
    return !checkpoint_writer_round_is_over(view->writer) && !ends(view);
}

static void show_all(struct checkpoint_view *view)
{
    for (struct view_table *t = view->tables; t && goes_on(view); t = t->hh.next)
        show_table(view, t);
    if (goes_on(view))
        show_status(view);
    if (goes_on(view)) {
        checkpoint_writer_clean(view->writer, view->to_clean, is_wanted, view);
        view->to_clean = false;
    }
    if (goes_on(view))
        metric_set(view->looked, clock_wall_ms() / 1000);
    if (!ends(view))
        checkpoint_writer_round_ends(view->writer);
}

/* The first time: most consumers never need it. */
static int open_handle(struct checkpoint_view *view, struct error *err)
{
    static const struct kafka_setting settings[] = {{"isolation.level", "read_uncommitted"},
                                                    {NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;

    if (view->from.rk)
        return 0;
    if (kafka_conf_new(&conf, view->setup.config, "checkpoints", settings, err) < 0)
        return -1;
    return kafka_handle_new(&view->from.rk, RD_KAFKA_CONSUMER, &conf, err);
}

static void do_round(struct checkpoint_view *view)
{
    struct error err;

    if (view->from.rk) /* its errors would pile up */
        rd_kafka_poll(view->from.rk, 0);
    list_tables(view);
    take_or_leave(view, owns_it(view));
    if (!view->ours || !checkpoint_writer_round_begins(view->writer))
        return;
    if (open_handle(view, &err) < 0) {
        log_warn("checkpoints wait", "reason=%s", err.message);
        return;
    }
    show_all(view);
}

/* ---- the thread ---- */

static bool wait_for_time(struct checkpoint_view *view, int64_t at)
{
    AUTO_LOCK(&view->lock);
    while (!view->stopping)
        if (clock_cond_wait(&view->changed, &view->lock, at))
            return true;
    return false;
}

static void *view_loop(void *arg)
{
    struct checkpoint_view *view = arg;

    do
        do_round(view);
    while (wait_for_time(view, clock_mono_ms() + ROUND_MS));
    AUTO_LOCK(&view->lock);
    view->running = 0;
    pthread_cond_broadcast(&view->changed);
    return NULL;
}

struct checkpoint_view *checkpoint_view_new(const struct checkpoint_view_setup *setup)
{
    const char *database = config_string(setup->config, "checkpoint.db");
    struct checkpoint_view *view;

    if (!*database)
        return NULL;
    view = xcalloc(1, sizeof(*view));
    view->setup = *setup;
    view->target = mongo_target_beside(setup->target, database);
    view->mark = xasprintf("%s/%s", config_string(setup->config, "topic.prefix"),
                           setup->target->database);
    view->from = (struct checkpoint_source){
        .ledger = setup->ledger, .mongo = mongo_new(setup->target), .mark = view->mark};
    view->writer = checkpoint_writer_new(view->target, view->mark);
    view->status.name = CHECKPOINT_STATUS_COLLECTION;
    view->looked = metric_get(METRIC_GAUGE, "dynaferry_consumer_checkpoints_timestamp_seconds",
                              "When this instance last looked through checkpoint.db.", "");
    view->running = 1;
    pthread_mutex_init(&view->lock, NULL);
    clock_cond_init(&view->changed);
    CHECK(pthread_create(&view->thread, NULL, view_loop, view) == 0);
    return view;
}

bool checkpoint_view_stop(struct checkpoint_view *view, int64_t timeout_ms)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    if (!view)
        return true;
    {
        AUTO_LOCK(&view->lock);
        view->stopping = true;
        pthread_cond_broadcast(&view->changed);
        if (!clock_cond_wait_zero(&view->changed, &view->lock, &view->running, until))
            return false;
    }
    pthread_join(view->thread, NULL);
    return true;
}

void checkpoint_view_free(struct checkpoint_view *view)
{
    if (!view)
        return;
    while (view->tables)
        table_remove(view, view->tables);
    if (view->from.rk)
        rd_kafka_destroy(view->from.rk);
    checkpoint_writer_free(view->writer);
    mongo_free(view->from.mongo);
    mongo_target_free(view->target);
    metric_remove(view->looked);
    pthread_cond_destroy(&view->changed);
    pthread_mutex_destroy(&view->lock);
    free(view->mark);
    free(view);
}

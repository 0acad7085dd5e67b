#include "producer/table_trim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/base/alarm.h"
#include "common/base/clock.h"
#include "common/run/log.h"

#define SHOW_EVERY_MS 2000

struct trim_series {
    char *shard;
    struct metric *seconds;
    bool present;
    UT_hash_handle hh;
};

struct table_trim {
    struct metric *seconds;     /* of the nearest shard; NULL: nothing is read */
    struct trim_series *series; /* by shard */
    struct alarm alarm;
    int64_t shown_ms; /* monotonic */
};

struct trim_look { /* the shards that are trimmed first, the nearest first */
    size_t count;
    struct {
        char *shard;
        int64_t left_ms;
    } nearest[TABLE_TRIM_SHARDS];
};

/* ---- the series ---- */

static void series_remove(struct table_trim *trim, struct trim_series *series)
{
    HASH_DEL(trim->series, series);
    metric_remove(series->seconds);
    free(series->shard);
    free(series);
}

struct table_trim *table_trim_new(void)
{
    return xcalloc(1, sizeof(struct table_trim));
}

void table_trim_free(struct table_trim *trim)
{
    if (!trim)
        return;
    metric_remove(trim->seconds);
    while (trim->series)
        series_remove(trim, trim->series);
    free(trim);
}

static struct trim_series *series_get(struct table_worker *w, const char *shard)
{
    AUTO(free_charp) char *labels = NULL;
    struct trim_series *series;

    HASH_FIND_STR(w->trim->series, shard, series);
    if (series)
        return series;
    labels = metric_labels("table", w->table, "shard", shard, NULL);
    series = xcalloc(1, sizeof(*series));
    series->shard = xstrdup(shard);
    series->seconds = metric_get(METRIC_GAUGE, "dynaferry_producer_shard_trim_seconds",
                                 "until the stream trims what was not read yet", labels);
    HASH_ADD_KEYPTR(hh, w->trim->series, series->shard, strlen(series->shard), series);
    return series;
}

static void show_shards(struct table_worker *w, const struct trim_look *look)
{
    struct trim_series *series, *next;

    for (series = w->trim->series; series; series = series->hh.next)
        series->present = false;
    for (size_t i = 0; i < look->count; i++) {
        series = series_get(w, look->nearest[i].shard);
        series->present = true;
        metric_set(series->seconds, look->nearest[i].left_ms / 1000);
    }
    HASH_ITER(hh, w->trim->series, series, next)
        if (!series->present)
            series_remove(w->trim, series);
}

static void show_table(struct table_worker *w, const struct trim_look *look)
{
    AUTO(free_charp) char *labels = metric_labels("table", w->table, NULL);

    if (look->count == 0) {
        metric_remove(w->trim->seconds);
        w->trim->seconds = NULL;
        return;
    }
    if (!w->trim->seconds)
        w->trim->seconds = metric_get(METRIC_GAUGE, "dynaferry_producer_trim_seconds",
                                      "until the stream trims what was not read yet", labels);
    metric_set(w->trim->seconds, look->nearest[0].left_ms / 1000);
}

/* ---- the log ---- */

static void warn(struct table_worker *w, const char *shard, int64_t left_ms)
{
    enum alarm_level level = alarm_look(&w->trim->alarm, left_ms, TABLE_TRIM_WARN_MS,
                                        TABLE_TRIM_ERROR_MS, clock_mono_ms());

    if (level != ALARM_NONE)
        log_event(level == ALARM_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
                  "changes that are not read yet will be trimmed",
                  "table=%s shard=%s seconds_left=%" PRId64, w->table, shard, left_ms / 1000);
}

/* ---- a look ---- */

/* After a gap nothing of the stream is read any more. */
static bool may_still_read(const struct table_worker *w)
{
    enum ledger_phase phase = w->appended.now.phase;

    return w->appended.now.generation > 0 && phase != PHASE_GAP && phase != PHASE_GONE;
}

static void look_at(struct table_worker *w, struct trim_look *ret)
{
    struct shard_nearest nearest[TABLE_TRIM_SHARDS];
    int64_t now = ddb_source_now_ms(w->p->source);

    AUTO_LOCK(&w->lock);
    ret->count = may_still_read(w)
                     ? shard_tree_nearest(&w->appended.tree, nearest, TABLE_TRIM_SHARDS)
                     : 0;
    for (size_t i = 0; i < ret->count; i++) {
        ret->nearest[i].shard = xstrdup(nearest[i].shard->now.id);
        ret->nearest[i].left_ms = nearest[i].complete_to_ms + LEDGER_STREAM_KEEPS_MS - now;
    }
}

void table_trim_show(struct table_worker *w)
{
    struct trim_look look;
    int64_t now = clock_mono_ms();

    if (w->trim->shown_ms > 0 && now - w->trim->shown_ms < SHOW_EVERY_MS)
        return;
    look_at(w, &look);
    w->trim->shown_ms = look.count > 0 ? now : 0;
    if (look.count > 0)
        warn(w, look.nearest[0].shard, look.nearest[0].left_ms);
    show_table(w, &look);
    show_shards(w, &look);
    for (size_t i = 0; i < look.count; i++)
        free(look.nearest[i].shard);
}

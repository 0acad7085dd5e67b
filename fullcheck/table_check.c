#include "fullcheck/table_check.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/progress.h"
#include "common/run/stop.h"

#define WAIT_AT_MOST_MS 200 /* how late a stop may be noticed */

void table_check_init(struct table_check *t, struct check *check, const char *name)
{
    const struct fullcheck_options *options = &check->options;

    *t = (struct table_check){.check = check, .name = name};
    t->collection = config_map_get(check->config, "map.collection", name);
    if (!t->collection)
        t->collection = xstrdup(name);
    if (options->reverse) {
        t->of_items = fingerprint_new();
        t->of_documents = fingerprint_new();
    }
    pthread_mutex_init(&t->lock, NULL);
    clock_cond_init(&t->changed);
    pending_init(&t->pending, options->settle_ms);
    sample_init(&t->sample, (size_t)options->sample, options->seed);
}

void table_check_release(struct table_check *t)
{
    for (int64_t i = 0; i < t->segment_count; i++)
        free(t->segments[i].start);
    free(t->segments);
    sample_release(&t->sample);
    pending_release(&t->pending);
    misplaced_release(&t->misplaced);
    fingerprint_free(t->of_items);
    fingerprint_free(t->of_documents);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    key_form_release(&t->key);
    key_schema_release(&t->schema);
    free(t->collection);
}

void table_check_fail(struct table_check *t, const struct error *err)
{
    AUTO_LOCK(&t->lock);
    if (!atomic_load(&t->failed))
        t->failure = *err;
    atomic_store(&t->failed, true);
    pthread_cond_broadcast(&t->changed);
}

bool table_check_goes_on(const struct table_check *t)
{
    return !atomic_load(&t->failed) && !atomic_load(&t->over) && !stop_requested();
}

void table_check_wait(struct table_check *t, int64_t until_ms)
{
    int64_t now = clock_mono_ms(), end = MAX(MIN(until_ms, now + WAIT_AT_MOST_MS), now + 1);

    clock_cond_wait(&t->changed, &t->lock, end);
}

void table_check_show(const struct table_check *t, const char *what, const char *did,
                      int64_t done, int64_t left)
{
    struct progress *progress = t->check->progress;

    if (!progress_is_due(progress))
        return;
    progress_begin_look(progress);
    progress_note(progress, &(struct progress_work){.table = t->name,
                                                    .what = what,
                                                    .did = did,
                                                    .done = done,
                                                    .left = left,
                                                    .state = PROGRESS_RUNS});
    progress_end_look(progress);
}

void table_check_pass_over(const struct table_check *t)
{
    progress_clear(t->check->progress);
}

int64_t table_check_left(const struct table_check *t, int64_t done)
{
    return t->estimate > 0 ? MAX(t->estimate - done, 0) : PROGRESS_NOT_KNOWN;
}

bool table_check_add(struct table_check *t, struct bytes key, enum pending_origin origin)
{
    AUTO_LOCK(&t->lock);
    while (table_check_goes_on(t) && !pending_has_room(&t->pending))
        table_check_wait(t, INT64_MAX);
    if (!table_check_goes_on(t))
        return false;
    pending_add(&t->pending, key, origin);
    pthread_cond_broadcast(&t->changed);
    return true;
}

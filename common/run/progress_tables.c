#include "common/run/progress_tables.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/base/auto.h"
#include "common/run/progress_meter.h"

#define DUE_EVERY_MS 60000
#define QUIET_MS 5000 /* of endless work, that ends it */
#define BEHIND_S 10   /* what takes less to do is as good as done */

struct entry {
    char *name; /* the hash key */
    const char *what;
    const char *did;
    int64_t done;
    int64_t left;
    enum progress_state state;
    bool noted; /* at this look */

    struct progress_meter meter;
    int64_t grew_ms; /* when something was done; 0: never */
    bool goes_on;    /* it is of a kind that lines are for */
    int64_t goes_on_ms;
    int64_t told_ms; /* the last line, or where the figures begin */
    int64_t told_done;
    UT_hash_handle hh;
};

struct progress_tables {
    bool endless;
    struct entry *by_name;
    int64_t now_ms;

    /* of the last look */
    int64_t done;
    int64_t left;
    size_t over;
    struct progress_meter meter;
    int64_t grew_ms;

    /* of the work, while it goes on and until there is other */
    bool at_work;
    int64_t began_ms;
    int64_t began_done;
    int64_t due_ms;
};

struct progress_tables *progress_tables_new(bool endless)
{
    struct progress_tables *tables = xcalloc(1, sizeof(*tables));

    tables->endless = endless;
    return tables;
}

static void forget(struct progress_tables *tables, struct entry *entry)
{
    HASH_DEL(tables->by_name, entry);
    free(entry->name);
    free(entry);
}

void progress_tables_free(struct progress_tables *tables)
{
    struct entry *entry, *next;

    if (!tables)
        return;
    HASH_ITER(hh, tables->by_name, entry, next)
        forget(tables, entry);
    free(tables);
}

/* ---- a table ---- */

static struct entry *entry_of(struct progress_tables *tables, const char *name)
{
    struct entry *entry;

    HASH_FIND_STR(tables->by_name, name, entry);
    if (entry)
        return entry;
    entry = xcalloc(1, sizeof(*entry));
    entry->name = xstrdup(name);
    entry->what = entry->did = "";
    HASH_ADD_KEYPTR(hh, tables->by_name, entry->name, strlen(entry->name), entry);
    return entry;
}

static void begin_figures(const struct progress_tables *tables, struct entry *entry,
                          const struct progress_work *work)
{
    entry->what = work->what;
    entry->did = work->did;
    entry->meter = (struct progress_meter){0};
    entry->told_ms = tables->now_ms;
    entry->told_done = work->done;
}

static bool is_behind(const struct entry *entry)
{
    int64_t per_s = progress_meter_per_s(&entry->meter);

    return entry->state == PROGRESS_RUNS && entry->left > 0 &&
           (per_s <= 0 || entry->left / per_s >= BEHIND_S);
}

static void see_whether_it_goes_on(const struct progress_tables *tables, struct entry *entry)
{
    bool goes_on = tables->endless ? is_behind(entry) : entry->state == PROGRESS_RUNS;

    if (goes_on && !entry->goes_on) {
        entry->goes_on_ms = entry->told_ms = tables->now_ms;
        entry->told_done = entry->done;
    }
    entry->goes_on = goes_on;
}

void progress_tables_note(struct progress_tables *tables, const struct progress_work *work)
{
    struct entry *entry = entry_of(tables, work->table);

    if (strcmp(entry->what, work->what) != 0 || strcmp(entry->did, work->did) != 0 ||
        work->done < entry->done)
        begin_figures(tables, entry, work);
    else if (work->done > entry->done)
        entry->grew_ms = tables->now_ms;
    entry->done = work->done;
    entry->left = work->left;
    entry->state = work->state;
    entry->noted = true;
    progress_meter_add(&entry->meter, tables->now_ms, work->done);
    see_whether_it_goes_on(tables, entry);
}

/* ---- a look ---- */

void progress_tables_begin_look(struct progress_tables *tables, int64_t now_ms)
{
    tables->now_ms = now_ms;
    for (struct entry *entry = tables->by_name; entry; entry = entry->hh.next)
        entry->noted = false;
}

static void forget_others(struct progress_tables *tables)
{
    struct entry *entry, *next;

    HASH_ITER(hh, tables->by_name, entry, next)
        if (!entry->noted)
            forget(tables, entry);
}

static bool is_at_work(const struct progress_tables *tables, const struct entry *entry)
{
    if (!tables->endless)
        return entry->state == PROGRESS_RUNS || entry->state == PROGRESS_WAITS;
    return (entry->state == PROGRESS_RUNS && entry->left > 0) ||
           (entry->grew_ms > 0 && tables->now_ms - entry->grew_ms < QUIET_MS);
}

/* Is any table at work? */
static bool add_up(struct progress_tables *tables)
{
    bool any = false;

    tables->done = tables->left = 0;
    tables->over = 0;
    for (struct entry *entry = tables->by_name; entry; entry = entry->hh.next) {
        tables->done += entry->done;
        tables->over += entry->state == PROGRESS_OVER;
        tables->grew_ms = MAX(tables->grew_ms, entry->grew_ms);
        any = any || is_at_work(tables, entry);
        if (entry->left >= 0 && tables->left >= 0)
            tables->left += entry->left;
        else if (entry->state == PROGRESS_RUNS || entry->state == PROGRESS_WAITS)
            tables->left = PROGRESS_NOT_KNOWN;
    }
    return any;
}

void progress_tables_end_look(struct progress_tables *tables)
{
    bool first = tables->meter.count == 0, at_work;
    int64_t before = tables->done;

    forget_others(tables);
    at_work = add_up(tables);
    progress_meter_add(&tables->meter, tables->now_ms, tables->done);
    if (at_work && !tables->at_work) {
        tables->began_ms = tables->now_ms;
        tables->began_done = first ? tables->done : before;
        tables->due_ms = tables->now_ms + DUE_EVERY_MS;
    }
    tables->began_done = MIN(tables->began_done, tables->done);
    tables->at_work = at_work;
}

/* ---- what it says ---- */

bool progress_tables_at_work(const struct progress_tables *tables)
{
    return tables->at_work;
}

static int64_t per_s_since(int64_t done, int64_t ms)
{
    return ms > 0 ? done * 1000 / ms : PROGRESS_NOT_KNOWN;
}

void progress_tables_view(const struct progress_tables *tables, struct progress_view *ret)
{
    const struct entry *first = tables->by_name;
    int64_t until_ms = tables->endless ? tables->grew_ms : tables->now_ms;

    *ret = (struct progress_view){.what = first ? first->what : "",
                                  .did = first ? first->did : "",
                                  .tables = HASH_COUNT(tables->by_name),
                                  .over = tables->over,
                                  .endless = tables->endless,
                                  .took_ms = MAX(until_ms - tables->began_ms, 0)};
    if (ret->tables == 1)
        ret->table = first->name;
    progress_figures_of(&ret->figures, tables->done, tables->left,
                        progress_meter_per_s(&tables->meter));
    ret->took_per_s = per_s_since(tables->done - tables->began_done, ret->took_ms);
}

/* ---- lines of the log ---- */

static int by_left(const void *a, const void *b)
{
    int64_t left = (*(struct entry *const *)a)->left, other = (*(struct entry *const *)b)->left;

    return (left < other) - (left > other);
}

/* The caller frees. */
static struct entry **due_entries(const struct progress_tables *tables, size_t *ret_count)
{
    struct entry **due = xcalloc(HASH_COUNT(tables->by_name) + 1, sizeof(struct entry *));
    size_t count = 0;

    for (struct entry *entry = tables->by_name; entry; entry = entry->hh.next)
        if (entry->goes_on && tables->now_ms - entry->goes_on_ms >= DUE_EVERY_MS)
            due[count++] = entry;
    qsort(due, count, sizeof(struct entry *), by_left);
    *ret_count = count;
    return due;
}

static void tell(const struct progress_tables *tables, struct entry *entry,
                 struct progress_due *ret)
{
    *ret = (struct progress_due){.table = entry->name, .what = entry->what, .did = entry->did};
    progress_figures_of(
        &ret->figures, entry->done, entry->left,
        MAX(per_s_since(entry->done - entry->told_done, tables->now_ms - entry->told_ms), 0));
    entry->told_ms = tables->now_ms;
    entry->told_done = entry->done;
}

size_t progress_tables_due(struct progress_tables *tables,
                           struct progress_due ret[PROGRESS_DUE_AT_MOST], size_t *ret_all)
{
    struct entry **due;
    size_t count;

    *ret_all = 0;
    if (!tables->at_work || tables->now_ms < tables->due_ms)
        return 0;
    tables->due_ms = MAX(tables->due_ms + DUE_EVERY_MS, tables->now_ms + 1);
    due = due_entries(tables, ret_all);
    count = MIN(*ret_all, PROGRESS_DUE_AT_MOST);
    for (size_t i = 0; i < count; i++)
        tell(tables, due[i], &ret[i]);
    free(due);
    return count;
}

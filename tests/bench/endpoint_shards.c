#include "tests/bench/endpoint_shards.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "tests/bench/bench_support.h"

#define DAY_MS 86400000

int64_t source_clock_ms(const struct source *s, int64_t ms)
{
    return s->began_wall_ms + (ms - s->began_ms) * s->o.clock;
}

static void list_add(struct list *l, int64_t value)
{
    if ((l->count & (l->count + 1)) == 0) /* grows at each power of two */
        l->values = xrealloc(l->values, (l->count + 1) * 2 * sizeof(*l->values));
    l->values[l->count++] = value;
}

static void shard_add(struct source *s, int64_t table, int64_t parent, int64_t now_ms)
{
    struct table *t = &s->tables[table];

    if ((s->count & (s->count + 1)) == 0)
        s->shards = xrealloc(s->shards, (size_t)(s->count + 1) * 2 * sizeof(*s->shards));
    if ((t->count & (t->count + 1)) == 0)
        t->shards = xrealloc(t->shards, (size_t)(t->count + 1) * 2 * sizeof(*t->shards));
    t->shards[t->count++] = s->count;
    s->shards[s->count++] = (struct shard){.table = table, .parent = parent, .born_ms = now_ms};
}

/* The first ones were born over the life before, or all just now. */
static int64_t rolls_ms(const struct source *s, int64_t number)
{
    int64_t first = s->o.tables * s->o.shards, life = s->o.roll_s * 1000 / s->o.clock;

    if (number < first && s->o.spread)
        return s->began_ms + life * (number + 1) / first;
    return s->shards[number].born_ms + life;
}

void source_roll(struct source *s, int64_t now_ms)
{
    while (s->o.roll_s && rolls_ms(s, s->rolls_next) <= now_ms) {
        struct shard *closed = &s->shards[s->rolls_next];

        closed->closed_ms = now_ms;
        shard_add(s, closed->table, s->rolls_next++, now_ms);
    }
}

bool source_is_gone(const struct source *s, int64_t shard, int64_t now_ms)
{
    int64_t closed_ms = s->shards[shard].closed_ms;

    return closed_ms && now_ms - closed_ms > DAY_MS / s->o.clock;
}

int64_t source_list_after(struct source *s, struct table *t, int64_t after, int64_t now_ms)
{
    int64_t first, end = t->count;

    while (t->first < t->count && source_is_gone(s, t->shards[t->first], now_ms))
        t->first++;
    for (first = t->first; first < end;) { /* numbers grow */
        int64_t middle = (first + end) / 2;

        if (t->shards[middle] > after)
            end = middle;
        else
            first = middle + 1;
    }
    return first;
}

/* Shards are not in step. */
int64_t source_records(const struct source *s, int64_t number, int64_t now_ms)
{
    const struct shard *shard = &s->shards[number];
    int64_t end = shard->closed_ms ? shard->closed_ms : now_ms;
    double phase = (double)(number * 618 % 1000) / 1000;

    return (int64_t)((double)(end - shard->born_ms) * s->rate + phase);
}

/* ---- what is asked ---- */

/* As many as a second allows may come at once. */
bool source_may_describe(struct source *s, int64_t now_ms)
{
    double limit = (double)s->o.describes;

    s->describe_tokens += (double)(now_ms - s->describe_ms) * limit / 1000;
    s->describe_tokens = MIN(s->describe_tokens, limit);
    s->describe_ms = now_ms;
    list_add(&s->described_ms, now_ms);
    if (s->describe_tokens < 1)
        return false;
    s->describe_tokens -= 1;
    return true;
}

void source_note_read(struct source *s, int64_t number, int64_t now_ms)
{
    struct shard *shard = &s->shards[number];

    if (!shard->read_ms && shard->parent != SHARD_NONE)
        list_add(&s->children_ms, now_ms - shard->born_ms);
    if (shard->read_ms)
        shard->pause_ms = MAX(shard->pause_ms, now_ms - shard->read_ms);
    shard->read_ms = now_ms;
}

struct source *source_new(const struct source_options *options)
{
    struct source *s = xcalloc(1, sizeof(*s));

    s->o = *options;
    s->began_ms = s->reset_ms = s->describe_ms = clock_mono_ms();
    s->began_wall_ms = clock_wall_ms();
    s->describe_tokens = (double)s->o.describes;
    s->rate = (double)s->o.records / 1000 / (double)(s->o.tables * s->o.shards);
    s->tables = xcalloc((size_t)s->o.tables, sizeof(*s->tables));
    for (int64_t i = 0; i < s->o.tables; i++)
        s->tables[i].has_stream = s->o.streams;
    for (int64_t i = 0; i < s->o.tables * s->o.shards; i++)
        shard_add(s, i % s->o.tables, SHARD_NONE, s->began_ms);
    return s;
}

/* ---- statistics ---- */

/* Most calls within any one second. */
static int64_t most_described(const struct source *s)
{
    const struct list *l = &s->described_ms;
    size_t most = 0;

    for (size_t first = 0, i = 0; i < l->count; i++) {
        while (l->values[i] - l->values[first] >= 1000)
            first++;
        most = MAX(most, i - first + 1);
    }
    return (int64_t)most;
}

/* What is still going on counts up to now. Shards that were closed unread are nobody's. */
static void append_pauses(struct source *s, int64_t now_ms, struct buf *out)
{
    int64_t open = 0, unread = 0, rolled = 0;
    bool any = false;

    buf_lit(out, "\"pauses_ms\":[");
    for (int64_t i = 0; i < s->count; i++) {
        const struct shard *shard = &s->shards[i];
        int64_t pause = shard->pause_ms;

        open += !shard->closed_ms;
        rolled += shard->closed_ms > s->reset_ms;
        unread += !shard->closed_ms && !shard->read_ms;
        if (!shard->read_ms || (shard->drained && shard->read_ms < s->reset_ms))
            continue;
        if (!shard->drained)
            pause = MAX(pause, now_ms - shard->read_ms);
        buf_printf(out, "%s%" PRId64, any ? "," : "", pause);
        any = true;
    }
    buf_printf(out, "],\"open\":%" PRId64 ",\"unread\":%" PRId64 ",\"rolled\":%" PRId64, open,
               unread, rolled);
}

/* Those that nobody has read yet wait on; without a parent they are in "unread" alone. */
static void append_children(struct source *s, int64_t now_ms, struct buf *out)
{
    bool any = false;

    buf_lit(out, ",\"children_ms\":[");
    for (size_t i = 0; i < s->children_ms.count; i++) {
        buf_printf(out, "%s%" PRId64, any ? "," : "", s->children_ms.values[i]);
        any = true;
    }
    for (int64_t i = 0; i < s->count; i++) {
        const struct shard *shard = &s->shards[i];

        if (shard->parent == SHARD_NONE || shard->closed_ms || shard->read_ms)
            continue;
        buf_printf(out, "%s%" PRId64, any ? "," : "", now_ms - shard->born_ms);
        any = true;
    }
    buf_char(out, ']');
}

void source_stats(struct source *s, struct buf *out)
{
    int64_t now_ms = clock_mono_ms();

    source_roll(s, now_ms);
    buf_printf(out,
               "\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"describe_most_a_second\":%" PRId64 ",",
               (double)(now_ms - s->reset_ms) / 1000, stopwatch_start().cpu, most_described(s));
    append_pauses(s, now_ms, out);
    append_children(s, now_ms, out);
}

void source_reset(struct source *s)
{
    s->reset_ms = clock_mono_ms();
    s->described_ms.count = s->children_ms.count = 0;
    for (int64_t i = 0; i < s->count; i++)
        s->shards[i].pause_ms = 0;
}

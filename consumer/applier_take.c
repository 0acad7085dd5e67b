/* Taking a partition over, going back, and losing it. */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "consumer/applier_internal.h"
#include "consumer/position_store.h"

#define WAIT_MS 500
#define POLL_WAIT_MS 50
#define FAILED_LOOK_MS 2000

static bool polled_lately(const struct worker *w)
{
    return clock_mono_ms() - atomic_load(&w->a->last_poll) < w->a->session_ms / 2;
}

/* A command about the position failed. */
static int64_t later(struct worker *w, struct partition *p, enum mongo_result result,
                     const struct error *err, const char *what)
{
    int64_t now = clock_mono_ms(), delay = backoff_next_ms(&p->backoff);

    if (result == MONGO_UNKNOWN)
        position_unknown(&p->position, now, w->a->target->grace_ms);
    log_warn("position can't be reached",
             "topic=%s partition=%" PRId32 " again_in_ms=%" PRId64 " at=%s reason=%s", p->topic,
             p->number, delay, what, err->message);
    return now + delay;
}

int64_t go_on(struct worker *w, struct partition *p)
{
    struct error err;

    p->at_end = p->truncated = p->other_schema = false;
    if (fetch_stream_open(&p->stream, p->position.offset, &err) < 0)
        return hold(w, p, MONGO_AGAIN, &err, "start reading");
    p->phase = PARTITION_RUN;
    p->check_at = 0;
    atomic_store(&p->offset, p->position.offset);
    return clock_mono_ms() + WAIT_MS;
}

/* ---- taking over ---- */

/* Does the ledger say where the log begins? false: look again later. */
static bool read_source(struct worker *w, const struct partition *p,
                        struct position_source *ret, struct ledger_table *ledger)
{
    struct error err;

    if (ledger_cache_table(w->a->ledger, p->table->name, ledger, &err) <= 0)
        return false;
    *ret = (struct position_source){.log_id = ledger->log_id,
                                    .uuid = p->view ? p->view->uuid : (struct uuid){0},
                                    .generation = ledger->generation,
                                    .begin = POSITION_NONE,
                                    .truncated = p->skip};
    if (ledger->begin_offsets && p->number < ledger->partitions)
        ret->begin = ledger->begin_offsets[p->number];
    return true;
}

static void tell_taken(const struct partition *p, const struct position_doc *old,
                       const struct position_doc *doc, enum position_start start)
{
    log_info("partition taken",
             "topic=%s partition=%" PRId32 " epoch=%" PRId64 " offset=%" PRId64
             " from=%s generation=%" PRId64 " again=%" PRId64 " before=%s",
             p->topic, p->number, doc->epoch, doc->offset,
             start == POSITION_FROM_BEGIN ? "begin" : "position", doc->generation, doc->again,
             old->owner[0] ? old->owner : "nobody");
}

static int64_t take(struct worker *w, struct partition *p, const struct position_source *source)
{
    struct position_doc old, doc;
    enum position_start start;
    enum mongo_result result;
    struct error err;
    bool matched = false;

    if (source->begin == POSITION_NONE) { /* don't disturb what can't be started */
        result = position_read(w->mongo, p->id, &old, &err);
        if (result != MONGO_DONE)
            return later(w, p, result, &err, "read");
        if (position_take(&doc, &old, source, w->a->me) == POSITION_WAIT)
            return clock_mono_ms() + WAIT_MS;
    }
    result = position_grab(w->mongo, p->id, w->a->me, &old, &err);
    if (result != MONGO_DONE)
        return later(w, p, result, &err, "take over");
    start = position_take(&doc, &old, source, w->a->me);
    if (start == POSITION_WAIT)
        return clock_mono_ms() + WAIT_MS;
    result = position_store_start(w->mongo, p->id, &doc, old.rewind, &matched, &err);
    if (result != MONGO_DONE)
        return later(w, p, result, &err, "take over");
    if (!matched) /* a mark or another taker came in between */
        return clock_mono_ms() + POLL_WAIT_MS;
    backoff_reset(&p->backoff);
    p->skip = false;
    position_taken(&p->position, &doc, clock_mono_ms(), w->a->target->grace_ms);
    tell_taken(p, &old, &doc, start);
    return go_on(w, p);
}

int64_t step_take(struct worker *w, struct partition *p)
{
    struct ledger_table ledger = {0};
    struct position_source source;
    int64_t due = clock_mono_ms() + WAIT_MS;

    if (!table_is_current(p->table, p->view)) {
        p->phase = PARTITION_TABLE;
        return POOL_AT_ONCE;
    }
    if (!polled_lately(w))
        return clock_mono_ms() + POLL_WAIT_MS;
    if (read_source(w, p, &source, &ledger))
        due = take(w, p, &source);
    ledger_table_release(&ledger);
    return due;
}

/* ---- the document's word ---- */

static int64_t go_back(struct worker *w, struct partition *p, int64_t offset,
                       const struct position_doc *doc)
{
    enum mongo_result result;
    struct error err;
    bool matched;

    partition_drop_batch(p);
    result =
        position_set_back(w->mongo, p->id, &p->position, offset, doc->rewind, &matched, &err);
    if (result != MONGO_DONE)
        return hold(w, p, result, &err, "go back");
    if (!matched)
        return read_and_obey(w, p);
    log_info("partition goes back",
             "topic=%s partition=%" PRId32 " from=%" PRId64 " to=%" PRId64, p->topic, p->number,
             p->position.offset, offset);
    position_went_back(&p->position, offset);
    return go_on(w, p);
}

static int64_t lost(struct partition *p, const struct position_doc *doc)
{
    log_warn("partition lost to another owner",
             "topic=%s partition=%" PRId32 " my_epoch=%" PRId64 " epoch=%" PRId64
             " owner=%s unconfirmed_from=%" PRId64,
             p->topic, p->number, p->position.epoch, doc->epoch, doc->owner,
             position_late_mark(&p->position));
    park(p);
    atomic_store(&p->idle, false);
    p->phase = PARTITION_MARKING;
    return POOL_AT_ONCE;
}

int64_t obey(struct worker *w, struct partition *p, const struct position_doc *doc)
{
    int64_t offset = POSITION_NONE;

    p->check_at = 0;
    switch (position_judge(&p->position, doc, &offset)) {
    case POSITION_MINE:
        backoff_reset(&p->backoff);
        return p->phase == PARTITION_RUN && p->stream.open ? POOL_AT_ONCE : go_on(w, p);
    case POSITION_REWIND:
        return go_back(w, p, offset, doc);
    case POSITION_GONE:
        return start_over(w, p, "its position was removed");
    case POSITION_LOST:
        break;
    }
    if (strcmp(doc->owner, w->a->me) == 0) /* an answer of ours got lost on its way */
        return start_over(w, p, "taken twice by this consumer");
    return lost(p, doc);
}

int64_t read_and_obey(struct worker *w, struct partition *p)
{
    struct position_doc doc;
    struct error err;
    enum mongo_result result = position_read(w->mongo, p->id, &doc, &err);

    if (result != MONGO_DONE)
        return hold(w, p, MONGO_AGAIN, &err, "read position");
    return obey(w, p, &doc);
}

int64_t step_held(struct worker *w, struct partition *p)
{
    int64_t now = clock_mono_ms();

    if (now < p->position.quiet_until)
        return p->position.quiet_until;
    if (!polled_lately(w))
        return now + POLL_WAIT_MS;
    if (!table_is_current(p->table, p->view))
        return start_over(w, p, "its collection or log is another one");
    return read_and_obey(w, p);
}

/* What this owner sent may come after what its successor wrote. Only when nothing more can come
 * is the successor told how far back to begin. */
int64_t step_marking(struct worker *w, struct partition *p)
{
    int64_t now = clock_mono_ms(), offset = position_late_mark(&p->position);
    struct error err;

    if (now < p->position.quiet_until)
        return p->position.quiet_until;
    if (offset != POSITION_NONE) {
        enum mongo_result result = position_mark(w->mongo, p->id, offset, &err);

        if (result != MONGO_DONE)
            return later(w, p, result, &err, "mark");
        log_info("late write marked", "topic=%s partition=%" PRId32 " rewind=%" PRId64,
                 p->topic, p->number, offset);
    }
    position_init(&p->position);
    /* Still a member whose partition it is? Then it takes it again, after the time in which the
     * group would have said otherwise. */
    p->phase = PARTITION_TABLE;
    return now + w->a->session_ms;
}

/* A generation that begins after the lost part brings all values again; another log or another
 * collection starts at a begin anyway. */
int64_t step_failed(struct worker *w, struct partition *p)
{
    struct ledger_table ledger = {0};
    struct position_source source;
    bool newer = false;

    if (p->stopped && read_source(w, p, &source, &ledger))
        newer =
            source.begin != POSITION_NONE && (source.generation > p->position.generation ||
                                              strcmp(source.log_id, p->position.log_id) != 0);
    ledger_table_release(&ledger);
    if (!newer)
        return p->stopped ? clock_mono_ms() + FAILED_LOOK_MS : INT64_MAX;
    p->skip = true;
    return start_over(w, p, "a newer generation begins after what was lost");
}

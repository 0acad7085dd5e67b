#include "consumer/pass.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/mongo/mongo_target.h"
#include "common/run/log.h"
#include "consumer/consumer.h"
#include "consumer/mongo_writer.h"

#define ALIVE_MS 5000

bool pass_is_wanted(const struct partition *p, const struct event *ev, int64_t offset)
{
    bool first = ev->source.generation == p->view->first;

    return ev->op == EVENT_CONTROL && ev->control.type == CONTROL_SNAPSHOT_BEGIN &&
           ev->control.rows && position_needs_pass(&p->position, offset, first);
}

bool pass_is_at_end(const struct partition *p, const struct event *ev)
{
    return ev->op == EVENT_CONTROL && ev->control.type == CONTROL_SNAPSHOT_END &&
           p->position.pass[0] && ev->source.generation == p->position.generation;
}

/* ---- notes ---- */

static void add_hash(struct partition *p, struct bytes keys)
{
    struct pass_notes *notes = &p->notes;

    if (notes->count == notes->capacity) {
        notes->capacity = MAX(2 * notes->capacity, p->batch.count + 64);
        notes->hashes = xrealloc(notes->hashes, notes->capacity * sizeof(*notes->hashes));
    }
    seen_hash(notes->hashes[notes->count++], keys);
}

void pass_see_skipped(struct partition *p, struct bytes keys)
{
    if (p->position.pass[0])
        add_hash(p, keys);
}

void pass_see_unreadable(struct partition *p)
{
    p->notes.unreadable = true;
}

/* A delete leaves nothing that a sweep could take. */
void pass_collect(struct partition *p)
{
    const struct batch *b = &p->batch;

    if (!p->position.pass[0])
        return;
    for (size_t i = 0; i < b->count; i++)
        if (b->entries[i].after.len)
            add_hash(p, b->entries[i].keys);
}

/* What stands right behind the begin begins the notes, before it takes in anything: also who
 * has taken over there, and when the generation names nothing here. Later nobody may: notes
 * that are not whole have to be missed. */
bool pass_has_to_begin(const struct partition *p)
{
    const struct position *position = &p->position;

    return position->pass[0] && !p->notes.begun && !position_is_ahead(position) &&
           position->applied == position->begin + 1;
}

int pass_begin_notes(struct partition *p, struct error *err)
{
    const struct position *position = &p->position;
    enum mongo_result result = seen_begin(p->writer->mongo, position->pass, p->topic, p->number,
                                          position->generation, err);

    p->notes.begun = result == MONGO_DONE;
    return p->notes.begun ? 0 : -1;
}

int pass_note(struct partition *p, struct error *err)
{
    const struct position *position = &p->position;
    const struct pass_notes *notes = &p->notes;
    size_t n;

    if (!position->pass[0] || notes->count == 0)
        return 0;
    for (size_t i = 0; i < notes->count; i += n) {
        n = MIN(notes->count - i, SEEN_MANY_MAX);
        if (seen_add(p->writer->mongo, position->pass, notes->hashes + i, n, err) != MONGO_DONE)
            return -1;
    }
    return 0;
}

void pass_applied(struct partition *p)
{
    struct position *position = &p->position;

    if (!p->notes.unreadable || !position->pass[0])
        return;
    log_warn("generation will not be swept",
             "table=%s topic=%s partition=%" PRId32 " generation=%" PRId64 " reason=%s",
             p->table->name, p->topic, p->number, position->generation,
             "it has a record that says no key: see the dead letters");
    position_gave_up_pass(position);
}

/* ---- the begin ---- */

static void name_pass(char *ret, size_t size)
{
    uint64_t random[2];

    random_bytes(random, sizeof(random));
    snprintf(ret, size, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

static void take_begin(struct partition *p)
{
    const struct pass_begin *b = &p->next_begin;
    char pass[POSITION_TEXT_MAX];

    name_pass(pass, sizeof(pass));
    position_begun(&p->position, b->generation, b->offset, b->log_id, pass);
    position_written(&p->position, b->offset + 1);
    p->notes.begun = false;
    log_info("generation began",
             "table=%s topic=%s partition=%" PRId32 " generation=%" PRId64 " rows=true pass=%s",
             p->table->name, p->topic, p->number, b->generation, pass);
}

/* What was pulled behind the stop was dropped. */
static struct partition_next read_on(struct partition *p)
{
    p->stop = PARTITION_STOP_NOT;
    fetch_stream_open(p->stream, p->position.applied);
    return partition_go(PARTITION_RUNNING);
}

struct partition_next pass_begins(struct partition *p)
{
    if (position_is_ahead(&p->position))
        return partition_wait(p);
    if (p->position.applied <= p->next_begin.offset) {
        take_begin(p);
        return partition_wait(p);
    }
    return read_on(p);
}

/* ---- the end ---- */

struct partition_next pass_ends(struct partition *p)
{
    if (position_is_ahead(&p->position) ||
        !keeper_take_back(p->consumer->keeper, &p->ask)) /* a look is on its way */
        return partition_wait(p);
    position_sending(&p->position, p->end_at + 1);
    p->sweep.table = p->table;
    p->sweep.view = p->view;
    p->sweep.position = p->position;
    sweeper_ask(p->consumer->sweeper, &p->sweep);
    return partition_go(PARTITION_SWEEPING);
}

static struct partition_next swept(struct partition *p)
{
    metric_add(p->table->metrics.swept, p->sweep.deleted);
    log_info("generation's rows ended",
             "table=%s topic=%s partition=%" PRId32 " generation=%" PRId64 " swept=%" PRId64,
             p->table->name, p->topic, p->number, p->position.generation, p->sweep.deleted);
    position_swept(&p->position, p->end_at + 1);
    p->swept_to = 0;
    return read_on(p);
}

static struct partition_next failed(struct partition *p, enum mongo_result result)
{
    if (result == MONGO_UNKNOWN)
        position_unknown(&p->position, clock_mono_ms(), p->consumer->target->grace_ms);
    return partition_hold(p, result, &p->sweep.err, "sweep");
}

/* A sweep that fails again and again at the same place is no progress. */
static void progressed(struct partition *p, int64_t reached)
{
    p->swept_to = reached;
    if (p->health)
        health_alive(p->health);
}

static struct partition_next still_sweeping(struct partition *p)
{
    if (!table_is_current(p->table, p->view))
        return partition_restart(p, "its collection or log is another one");
    if (!sweeper_is_sweeping(p->consumer->sweeper, &p->sweep)) /* others are */
        progressed(p, p->swept_to);
    else if (atomic_load(&p->sweep.reached) > p->swept_to)
        progressed(p, atomic_load(&p->sweep.reached));
    return partition_wait_until(p, clock_mono_ms() + ALIVE_MS);
}

struct partition_next pass_sweeping(struct partition *p)
{
    switch (sweeper_outcome(p->consumer->sweeper, &p->sweep)) {
    case SWEEP_DONE:
        return swept(p);
    case SWEEP_STALE:
        error_set(&p->sweep.err, ERR_RETRY, "its position says something else");
        return failed(p, MONGO_AGAIN);
    case SWEEP_FAILED:
        return failed(p, MONGO_AGAIN);
    case SWEEP_UNKNOWN:
        return failed(p, MONGO_UNKNOWN);
    case SWEEP_UNDER_WAY:
        break;
    }
    return still_sweeping(p);
}

bool pass_left(struct partition *p)
{
    enum sweep_outcome outcome;

    if (!sweeper_take_back(p->consumer->sweeper, &p->sweep, &outcome))
        return false;
    if (outcome == SWEEP_UNKNOWN)
        position_unknown(&p->position, clock_mono_ms(), p->consumer->target->grace_ms);
    return true;
}

/* Two consumers may believe for a while that a partition is theirs: the group tells them at
 * different times, and a command that was given up may still be executed. A write of documents
 * can't be fenced, so it is healed: who leaves writes a goodbye when nothing of its own is on
 * its way, else, after the grace, a mark from where the new owner has to apply again. And who
 * takes over from one that left no goodbye applies once more itself, after that grace. */
#include "consumer/takeover.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/mongo/mongo_target.h"
#include "common/run/log.h"
#include "consumer/consumer.h"
#include "consumer/ownership.h"
#include "consumer/pass.h"
#include "consumer/tables.h"

#define WAIT_MS 500 /* for the producer's records */
#define POLL_WAIT_MS 50
#define GOODBYE_TRIES 4 /* when the program ends */

/* ---- the table ---- */

struct partition_next takeover_resting(struct partition *p)
{
    if (!atomic_load(&p->assigned))
        return partition_wait(p);
    p->skip = false;
    atomic_store(&p->offset, POSITION_NONE);
    return partition_go(PARTITION_WAITING);
}

struct partition_next takeover_left_out(struct partition *p)
{
    return atomic_load(&p->assigned) ? partition_wait(p) : partition_go(PARTITION_RESTING);
}

/* A topic that the ledger does not know has nothing to say, as long as it is empty. */
static struct partition_next wait_for_ledger(struct partition *p)
{
    if (atomic_load(&p->log_end) <= 0 && p->health)
        health_alive(p->health);
    return partition_wait_until(p, clock_mono_ms() + WAIT_MS);
}

struct partition_next takeover_waiting(struct partition *p)
{
    if (!partition_may_be_taken(p))
        return partition_go(PARTITION_RESTING);
    if (clock_mono_ms() < p->until) /* it was lost to another owner */
        return partition_wait_until(p, p->until);
    if (!p->table)
        p->table = tables_of_topic(p->consumer->tables, p->topic);
    if (!p->table)
        return wait_for_ledger(p);
    if (p->table->filtered)
        return partition_go(PARTITION_LEFT_OUT);
    table_view_put(p->view);
    p->view = table_view_get(p->table);
    if (p->view)
        return partition_go(PARTITION_TAKING);
    health_remove(TAKE(p->health)); /* the table's own says why */
    return partition_wait(p);
}

/* ---- taking over ---- */

/* Does the ledger say where the log begins? */
static bool read_source(const struct partition *p, struct position_source *ret,
                        struct ledger_table *ledger)
{
    int64_t begin;

    if (!ownership_read_ledger(p, ledger, &begin))
        return false;
    *ret = (struct position_source){.log_id = ledger->log_id,
                                    .uuid = p->view->uuid,
                                    .generation = ledger->generation,
                                    .begin = begin,
                                    .rows = ledger->rows,
                                    .truncated = p->skip};
    return true;
}

static struct partition_next taken(struct partition *p, const struct position_doc *doc)
{
    const struct position_doc *old = &p->ask.change.seen;

    position_taken(&p->position, doc, clock_mono_ms(), p->consumer->target->grace_ms);
    log_info("partition taken",
             "topic=%s partition=%" PRId32 " epoch=%" PRId64 " offset=%" PRId64
             " from=%s generation=%" PRId64 " again=%" PRId64 " before=%s",
             p->topic, p->number, doc->epoch, doc->offset,
             p->start == POSITION_FROM_BEGIN ? "begin" : "position", doc->generation,
             doc->again, old->owner[0] ? old->owner : "nobody");
    p->taking = false;
    p->skip = false;
    return partition_run(p);
}

static struct partition_next look_again(struct partition *p)
{
    p->until = clock_mono_ms() + WAIT_MS;
    return partition_wait_until(p, p->until);
}

static struct partition_next decide(struct partition *p, const struct position_doc *doc)
{
    struct ledger_table ledger = {0};
    struct position_source source;
    struct position_change change;

    bool missed = !p->ask.reads;

    if (p->taking && position_is_taken(&p->ask.change, doc)) /* its answer got lost */
        return taken(p, doc);
    p->taking = false;
    if (!partition_may_be_taken(p))
        return partition_go(PARTITION_RESTING);
    if (missed) { /* somebody came in between */
        p->until = partition_again_at(p);
        return partition_wait_until(p, p->until);
    }
    p->start = POSITION_WAIT;
    if (read_source(p, &source, &ledger))
        p->start = position_take(&change, doc, &source, p->consumer->me);
    ledger_table_release(&ledger);
    if (p->start == POSITION_WAIT)
        return look_again(p);
    p->taking = true;
    keeper_ask_change(p->consumer->keeper, &p->ask, &change, clock_mono_ms());
    return partition_wait(p);
}

static struct partition_next take_failed(struct partition *p)
{
    p->until = partition_again_at(p);
    log_warn("position can't be reached",
             "topic=%s partition=%" PRId32 " again_in_ms=%" PRId64 " at=%s reason=%s", p->topic,
             p->number, p->until - clock_mono_ms(), p->ask.reads ? "read" : "take over",
             p->ask.err.message);
    return partition_wait_until(p, p->until);
}

/* Nothing is asked for. */
static struct partition_next ask_document(struct partition *p)
{
    int64_t now = clock_mono_ms();

    if (!partition_may_be_taken(p))
        return partition_go(PARTITION_RESTING);
    if (!table_is_current(p->table, p->view))
        return partition_go(PARTITION_WAITING);
    if (now < p->until)
        return partition_wait_until(p, p->until);
    if (!ownership_polled_lately(p->consumer))
        return partition_wait_until(p, now + POLL_WAIT_MS);
    keeper_ask_read(p->consumer->keeper, &p->ask, now);
    return partition_wait(p);
}

struct partition_next takeover_taking(struct partition *p)
{
    struct keeper *k = p->consumer->keeper;

    switch (keeper_answer(k, &p->ask)) {
    case ANSWER_CHANGED:
        return taken(p, &p->ask.change.next);
    case ANSWER_DOCUMENT:
        return decide(p, &p->ask.doc);
    case ANSWER_FAILED:
        return take_failed(p);
    case ANSWER_NONE:
        break;
    }
    return keeper_is_asked(k, &p->ask) ? partition_wait(p) : ask_document(p);
}

/* ---- leaving ---- */

static struct partition_next left(struct partition *p, bool goodbye)
{
    log_info(goodbye ? "partition left" : "partition left without a goodbye",
             "topic=%s partition=%" PRId32 " offset=%" PRId64, p->topic, p->number,
             p->position.applied);
    if (goodbye && !p->position.doubted)
        atomic_store(&p->offset, p->position.applied);
    p->until = 0;
    if (!atomic_load(&p->assigned))
        return partition_go(PARTITION_RESTING);
    p->until = clock_mono_ms() + WAIT_MS; /* it begins anew: the reason may still be there */
    return partition_go(PARTITION_WAITING);
}

/* What was still on its way when the partition had to leave. */
static void learn(struct partition *p, enum position_answer answer)
{
    if (p->ask.reads)
        return;
    if (answer == ANSWER_CHANGED && p->ask.change.kind == POSITION_CHANGE_MOVE)
        position_confirmed(&p->position, p->ask.change.next.offset);
    else
        position_doubt(&p->position);
}

static struct partition_next goodbye_failed(struct partition *p)
{
    p->until = partition_again_at(p);
    log_warn("goodbye not acknowledged", "topic=%s partition=%" PRId32 " reason=%s", p->topic,
             p->number, p->ask.err.message);
    if (atomic_load(&p->consumer->ending) && p->backoff.tries > GOODBYE_TRIES)
        return left(p, false);
    return partition_wait_until(p, p->until);
}

static struct partition_next goodbye_missed(struct partition *p)
{
    const struct position_doc *doc = &p->ask.doc;

    if (doc->found && doc->epoch == p->position.epoch) /* its statement did match */
        return left(p, true);
    return doc->found ? partition_mark(p) : left(p, false);
}

static struct partition_next say_goodbye(struct partition *p)
{
    struct position_change change;
    int64_t now = clock_mono_ms();

    if (!position_is_quiet(&p->position, now))
        return partition_mark(p);
    if (now < p->until)
        return partition_wait_until(p, p->until);
    position_goodbye(&change, &p->position, p->consumer->me);
    keeper_ask_change(p->consumer->keeper, &p->ask, &change, now);
    return partition_wait(p);
}

struct partition_next takeover_leaving(struct partition *p)
{
    struct keeper *k = p->consumer->keeper;
    enum position_answer answer;
    bool goodbye;

    partition_stop_reading(p);
    if (!pass_left(p))
        return partition_wait(p);
    answer = keeper_answer(k, &p->ask);
    goodbye = !p->ask.reads && p->ask.change.kind == POSITION_CHANGE_GOODBYE;
    if (answer != ANSWER_NONE && !goodbye)
        learn(p, answer);
    else if (answer == ANSWER_CHANGED)
        return left(p, true);
    else if (answer == ANSWER_DOCUMENT)
        return goodbye_missed(p);
    else if (answer == ANSWER_FAILED)
        return goodbye_failed(p);
    else if (keeper_is_asked(k, &p->ask) && (goodbye || !keeper_take_back(k, &p->ask)))
        return partition_wait(p);
    return say_goodbye(p);
}

/* ---- marking ---- */

static struct partition_next marked(struct partition *p)
{
    p->until = 0;
    if (!partition_may_be_taken(p))
        return partition_go(PARTITION_RESTING);
    /* after the time in which the group would have said otherwise */
    p->until = clock_mono_ms() + p->consumer->session_ms;
    return partition_go(PARTITION_WAITING);
}

/* Nothing of its own can come any more, or the program ends and can't wait for that. */
static struct partition_next mark(struct partition *p)
{
    const struct consumer *c = p->consumer;
    struct position_change change;
    int64_t ignored;
    enum position_verdict verdict = position_judge(&p->position, &p->ask.doc, c->me, &ignored);

    if ((verdict == POSITION_MINE || verdict == POSITION_REWIND) &&
        position_is_quiet(&p->position, clock_mono_ms()))
        return partition_leave(p); /* nobody has taken it: a goodbye says enough */
    if (!position_late_mark(&change, &p->position, &p->ask.doc))
        return marked(p);
    keeper_ask_change(c->keeper, &p->ask, &change, clock_mono_ms());
    return partition_wait(p);
}

static struct partition_next ask_owner(struct partition *p)
{
    int64_t now = clock_mono_ms(), from = p->until;

    if (!atomic_load(&p->consumer->ending))
        from = MAX(from, p->position.quiet_until);
    if (now < from)
        return partition_wait_until(p, from);
    keeper_ask_read(p->consumer->keeper, &p->ask, now);
    return partition_wait(p);
}

struct partition_next takeover_marking(struct partition *p)
{
    struct keeper *k = p->consumer->keeper;

    switch (keeper_answer(k, &p->ask)) {
    case ANSWER_CHANGED:
        log_info("late write marked", "topic=%s partition=%" PRId32 " rewind=%" PRId64,
                 p->topic, p->number, p->ask.change.next.rewind);
        return marked(p);
    case ANSWER_DOCUMENT:
        return mark(p);
    case ANSWER_FAILED:
        log_warn("position can't be reached",
                 "topic=%s partition=%" PRId32 " at=mark reason=%s", p->topic, p->number,
                 p->ask.err.message);
        p->until = partition_again_at(p);
        break;
    case ANSWER_NONE:
        if (keeper_is_asked(k, &p->ask))
            return partition_wait(p);
    }
    return ask_owner(p);
}

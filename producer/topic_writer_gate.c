/* Members, and who may append when: the gate, room in the queue, turns. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "common/run/log.h"
#include "producer/topic_writer_internal.h"

/* ---- members ---- */

struct writer_account *writer_account_new(struct topic_writer *w, struct topic_writer_member *m)
{
    struct writer_account *a = xcalloc(1, sizeof(*a));

    a->writer = w;
    a->member = m;
    for (int kind = 0; kind < RECORD_KINDS; kind++)
        a->receipts[kind] = (struct receipt){.account = a, .kind = (enum record_kind)kind};
    if (m && m->topic) {
        a->trust = trust_member(w->trust, m->topic);
        trust_member_set(w->trust, a->trust, a);
    }
    return a;
}

void writer_account_free(struct writer_account *a)
{
    free(a->ends);
    free(a);
}

static void tell_held_before(struct topic_writer *w, struct topic_writer_member *m)
{
    struct trust_member *t = m->account->trust;
    char topic[256], reason[256];

    if (t && m->held && trust_is_told(w->trust, t, topic, reason, sizeof(topic)))
        m->held(m->arg, topic, reason);
}

void topic_writer_add_member(struct topic_writer *w, struct topic_writer_member *m)
{
    struct writer_account *a = m->account = writer_account_new(w, m);

    tell_held_before(w, m);
    AUTO_LOCK(&w->lock);
    a->next = w->accounts;
    w->accounts = a;
}

/* Under lock. */
static void not_present(struct topic_writer *w, struct writer_account *a)
{
    struct writer_account **at = &w->present;

    while (*at && *at != a)
        at = &(*at)->next_present;
    if (*at)
        *at = a->next_present;
    a->is_present = false;
}

/* Reports of its records may still come, or it is just being told: then it goes with the
 * writer.
 */
static void account_leaves(struct topic_writer *w, struct writer_account *a)
{
    struct writer_account **at = &w->accounts;

    a->member = NULL;
    not_present(w, a);
    if (w->telling || atomic_load(&a->unreported) > 0)
        return;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    writer_account_free(a);
}

void topic_writer_remove_member(struct topic_writer *w, struct topic_writer_member *m)
{
    if (!m->account) /* never joined */
        return;
    AUTO_LOCK(&w->lock);
    while (w->telling && !pthread_equal(w->teller, pthread_self()))
        pthread_cond_wait(&w->changed, &w->lock);
    if (m->account->trust)
        trust_member_unset(w->trust, m->account->trust, m->account);
    account_leaves(w, TAKE(m->account));
}

int64_t topic_writer_gate_wait_ms(struct topic_writer *w, struct topic_writer_member *m)
{
    struct trust_member *t = m->account ? m->account->trust : NULL;

    return t ? trust_wait_ms(w->trust, t, clock_mono_ms()) : 0;
}

/* ---- entering ---- */

bool writer_has_room(struct topic_writer *w)
{
    long records = atomic_load(&w->waiting_records);

    return records == 0 || ((size_t)atomic_load(&w->waiting_bytes) < w->queue_bytes &&
                            (size_t)records < w->queue_records);
}

enum answer {
    ANSWER_ENTER,
    ANSWER_GATE, /* wait for the gate, or for room */
    ANSWER_TURN, /* wait for the member's own turn */
};

/* Under lock. */
static enum answer ask(struct topic_writer *w, struct writer_account *a)
{
    if (a->trust && !trust_may_enter(w->trust, a->trust, clock_mono_ms()))
        return ANSWER_TURN;
    if (!MUTATED(gate) && (w->closed || w->closing || w->trouble.must_abort))
        return ANSWER_GATE;
    if (writer_has_room(w))
        return ANSWER_ENTER;
    atomic_store(&w->wants_room, true);
    return writer_has_room(w) ? ANSWER_ENTER : ANSWER_GATE; /* reports came meanwhile */
}

/* Under lock. */
static void enter(struct topic_writer *w, struct writer_account *a)
{
    w->holders++;
    if (a->trust)
        trust_entered(w->trust, a->trust);
    if (a->is_present)
        return;
    a->is_present = true;
    a->next_present = w->present;
    w->present = a;
}

/* Who waits is woken by what it waits for: all of it changes under the lock that is held here.
 * A trusted member waits for the gate, whatever it was refused for. */
static void wait_as_step(struct topic_writer *w, struct writer_account *a, enum answer answer,
                         struct step *s)
{
    if (w->pool)
        step_wait(w->pool,
                  answer == ANSWER_TURN && trust_is_special(w->trust, a->trust) ? &a->steps
                                                                                : &w->waiting,
                  s);
}

int topic_writer_gate_enter(struct topic_writer *w, struct topic_writer_member *m,
                            struct step *s, struct error *err)
{
    struct writer_account *a = m->account;
    int64_t end = clock_mono_ms() + TOPIC_WRITER_WAIT_MS;
    enum answer answer;

    AUTO_LOCK(&w->lock);
    while (w->state == WRITER_OPEN) {
        answer = ask(w, a);
        if (answer == ANSWER_ENTER) {
            enter(w, a);
            return 0;
        }
        if (s)
            wait_as_step(w, a, answer, s);
        if (s || clock_cond_wait(&w->changed, &w->lock, end))
            return error_set(err, ERR_RETRY, "ledger partition %" PRId32 " takes nothing now",
                             w->ledger_partition);
    }
    return error_set(err, ERR_FENCED, "ledger partition %" PRId32 " is not ours any more",
                     w->ledger_partition);
}

/* ---- who comes next ---- */

/* Under lock. */
static void wake(struct topic_writer *w, struct writer_account *next)
{
    pthread_cond_broadcast(&w->changed);
    if (w->pool)
        step_queue_wake(w->pool, next && next->writer == w ? &next->steps : &w->waiting);
}

void writer_turn_over(struct topic_writer *w)
{
    wake(w, trust_turn_over(w->trust, clock_mono_ms()));
}

void topic_writer_gate_exit(struct topic_writer *w)
{
    bool begun;

    AUTO_LOCK(&w->lock);
    begun = atomic_load(&w->began);
    w->holders--;
    if (begun && w->oldest_ms == 0) {
        w->oldest_ms = clock_mono_ms();
        pthread_cond_broadcast(&w->changed);
    }
    if (w->holders > 0)
        return;
    if (w->closing)
        pthread_cond_broadcast(&w->changed);
    else if (!begun && !w->trouble.must_abort) /* nobody appended: a suspect's turn is over */
        wake(w, trust_next(w->trust, clock_mono_ms()));
}

void writer_gate_close(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->closing++;
    while (w->closed || (w->holders > 0 && !MUTATED(gate)))
        pthread_cond_wait(&w->changed, &w->lock);
    w->closing--;
    w->closed = true;
    w->closed_ms = clock_mono_ms();
}

void writer_gate_open(struct topic_writer *w)
{
    AUTO_LOCK(&w->lock);
    w->closed = false;
    wake(w, w->state == WRITER_OPEN ? trust_next(w->trust, clock_mono_ms()) : NULL);
}

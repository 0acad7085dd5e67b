#include "producer/topic_writer_gate.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/base/mutation.h"
#include "producer/topic_writer_core.h"

int64_t topic_writer_gate_wait_ms(struct topic_writer *writer, struct topic_writer_member *m)
{
    struct trust_member *trusted = m->account ? m->account->trusted : NULL;

    return trusted ? trust_wait_ms(writer->trust, trusted, clock_mono_ms()) : 0;
}

void topic_writer_gate_try_now(struct topic_writer *writer, struct topic_writer_member *m)
{
    if (m->account && m->account->trusted)
        trust_try_now(writer->trust, m->account->trusted);
}

/* ---- entering ---- */

enum answer {
    ANSWER_ENTER,
    ANSWER_GATE, /* wait for the gate, or for room */
    ANSWER_TURN, /* wait for the member's own turn */
};

/* Under lock. */
static enum answer ask(struct topic_writer *writer, struct writer_account *account)
{
    if (account->trusted && !trust_may_enter(writer->trust, account->trusted, clock_mono_ms()))
        return ANSWER_TURN;
    if (!MUTATED(gate) && (writer->closed || writer->closing || writer->trouble.must_abort))
        return ANSWER_GATE;
    if (topic_writer_core_has_room(writer))
        return ANSWER_ENTER;
    atomic_store(&writer->wants_room, true);
    /* Reports may have come before that was set. */
    return topic_writer_core_has_room(writer) ? ANSWER_ENTER : ANSWER_GATE;
}

/* Under lock. */
static void enter(struct topic_writer *writer, struct writer_account *account)
{
    writer->holders++;
    if (account->trusted)
        trust_entered(writer->trust, account->trusted);
    if (account->is_present)
        return;
    account->is_present = true;
    account->next_present = writer->present;
    writer->present = account;
}

/* Under lock, and so is every change that the step could wait for: no wake is missed. A trusted
 * member waits for the gate, whatever kept it out. */
static void wait_as_step(struct topic_writer *writer, struct writer_account *account,
                         enum answer answer, struct step *step)
{
    bool own_turn = answer == ANSWER_TURN && trust_is_special(writer->trust, account->trusted);

    if (writer->pool)
        step_wait(writer->pool, own_turn ? &account->steps : &writer->waiting, step);
}

int topic_writer_gate_enter(struct topic_writer *writer, struct topic_writer_member *m,
                            struct step *step, struct error *err)
{
    int64_t end = clock_mono_ms() + TOPIC_WRITER_WAIT_MS;
    enum answer answer;

    AUTO_LOCK(&writer->lock);
    while (writer->state == WRITER_OPEN) {
        answer = ask(writer, m->account);
        if (answer == ANSWER_ENTER) {
            enter(writer, m->account);
            return 0;
        }
        if (step)
            wait_as_step(writer, m->account, answer, step);
        if (step || clock_cond_wait(&writer->changed, &writer->lock, end))
            return error_set(err, ERR_RETRY, "ledger partition %" PRId32 " takes nothing now",
                             writer->ledger_partition);
    }
    return error_set(err, ERR_FENCED, "ledger partition %" PRId32 " is not ours any more",
                     writer->ledger_partition);
}

/* ---- who comes next ---- */

/* Under lock. next: of this writer or of one before it, which nobody waits for; NULL:
 * everybody. */
static void wake(struct topic_writer *writer, struct writer_account *next)
{
    pthread_cond_broadcast(&writer->changed);
    if (writer->pool)
        step_queue_wake(writer->pool,
                        next && next->writer == writer ? &next->steps : &writer->waiting);
}

void topic_writer_gate_end_turn(struct topic_writer *writer)
{
    wake(writer, trust_turn_over(writer->trust, clock_mono_ms()));
}

void topic_writer_gate_exit(struct topic_writer *writer)
{
    bool began;

    AUTO_LOCK(&writer->lock);
    began = atomic_load(&writer->began);
    writer->holders--;
    if (began && writer->oldest_ms == 0) {
        writer->oldest_ms = clock_mono_ms();
        pthread_cond_broadcast(&writer->changed);
    }
    if (writer->holders > 0)
        return;
    if (writer->closing)
        pthread_cond_broadcast(&writer->changed);
    else if (!began && !writer->trouble.must_abort) /* no append: a suspect's turn is over */
        wake(writer, trust_next(writer->trust, clock_mono_ms()));
}

void topic_writer_gate_close(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    writer->closing++;
    while (writer->closed || (writer->holders > 0 && !MUTATED(gate)))
        pthread_cond_wait(&writer->changed, &writer->lock);
    writer->closing--;
    writer->closed = true;
    writer->closed_ms = clock_mono_ms();
}

void topic_writer_gate_open(struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    writer->closed = false;
    wake(writer,
         writer->state == WRITER_OPEN ? trust_next(writer->trust, clock_mono_ms()) : NULL);
}

#include "producer/topic_writer_outcome.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/run/log.h"

/* ---- the members that took part ---- */

struct present { /* who entered since the last commit or abort */
    struct writer_account **accounts;
    size_t count;
    struct writer_account **appended; /* those of them that can be to blame */
    size_t appended_count;
    struct trust_evidence *evidence; /* one per entry of appended; NULL: not gathered */
};

static long undelivered(struct writer_account *account, enum record_kind kind)
{
    return atomic_load(&account->appended[kind]) - atomic_load(&account->delivered[kind]);
}

/* Records of the ledger say nothing about a member's own topics. */
static bool has_appended(struct writer_account *account)
{
    return atomic_load(&account->appended[RECORD_DATA]) > 0 ||
           atomic_load(&account->appended[RECORD_DEAD_LETTER]) > 0;
}

/* No account is freed until present_end; a member may be removed in a callback. */
static void present_begin(struct present *present, struct topic_writer *writer)
{
    struct writer_account *account;

    *present = (struct present){0};
    AUTO_LOCK(&writer->lock);
    writer->telling = true;
    writer->teller = pthread_self();
    for (account = writer->present; account; account = account->next_present)
        present->count++;
    present->accounts = xcalloc(present->count + 1, sizeof(struct writer_account *));
    present->appended = xcalloc(present->count + 1, sizeof(struct writer_account *));
    present->count = 0;
    for (account = writer->present; account; account = account->next_present) {
        present->accounts[present->count++] = account;
        if (account->trusted && has_appended(account))
            present->appended[present->appended_count++] = account;
    }
}

static void account_reset(struct writer_account *account)
{
    for (int kind = 0; kind < RECORD_KINDS; kind++) {
        atomic_store(&account->appended[kind], 0);
        atomic_store(&account->delivered[kind], 0);
    }
    account->is_present = false;
    account->named.is_set = false;
    account->loss.is_set = false;
}

static void present_end(struct present *present, struct topic_writer *writer)
{
    AUTO_LOCK(&writer->lock);
    for (size_t i = 0; i < present->count; i++)
        account_reset(present->accounts[i]);
    account_reset(writer->nobody);
    writer->present = NULL;
    writer->telling = false;
    pthread_cond_broadcast(&writer->changed);
    free(present->accounts);
    free(present->appended);
    free(present->evidence);
}

/* ---- committed ---- */

static void tell_free_again(struct topic_writer *writer, struct writer_account *account)
{
    struct topic_writer_member *m = account->member;

    if (!m) /* removed in another's callback */
        return;
    log_info("table no longer held", "table=%s topic=%s ledger_partition=%" PRId32, m->table,
             m->topic, writer->ledger_partition);
    if (m->free_again)
        m->free_again(m->arg);
}

void topic_writer_outcome_committed(struct topic_writer *writer)
{
    struct topic_writer_member *m;
    struct present present;

    metric_add(writer->commits, 1);
    atomic_store(&writer->was_of_use, true);
    present_begin(&present, writer);
    for (size_t i = 0; i < present.appended_count; i++)
        if (trust_committed(writer->trust, present.appended[i]->trusted))
            tell_free_again(writer, present.appended[i]);
    trust_all_committed(writer->trust);
    for (size_t i = 0; i < present.count; i++)
        if ((m = present.accounts[i]->member))
            m->committed(m->arg);
    present_end(&present, writer);
}

/* ---- who is to blame ---- */

/* Dead letters are rare: if they were not delivered either, they are likely the cause. */
static const char *missing_topic(struct topic_writer *writer, struct writer_account *account)
{
    if (undelivered(account, RECORD_DEAD_LETTER) > 0)
        return writer->dead_letter_topic;
    return account->member->topic;
}

static struct trust_evidence evidence_of(struct topic_writer *writer,
                                         struct writer_account *account,
                                         const struct trouble *trouble)
{
    const struct writer_fault *named = &account->named;

    return (struct trust_evidence){
        .member = account->trusted,
        .named = named->is_set,
        .undelivered = undelivered(account, RECORD_DATA) > 0 ||
                       undelivered(account, RECORD_DEAD_LETTER) > 0,
        .topic = named->is_set ? named->topic : missing_topic(writer, account),
        .reason = named->is_set ? named->reason : trouble->reason,
    };
}

static void gather(struct present *present, struct topic_writer *writer,
                   const struct trouble *trouble)
{
    present->evidence = xcalloc(present->appended_count + 1, sizeof(*present->evidence));
    for (size_t i = 0; i < present->appended_count; i++)
        present->evidence[i] = evidence_of(writer, present->appended[i], trouble);
}

static void tell_held(struct topic_writer *writer, struct writer_account *account,
                      const struct trust_evidence *evidence)
{
    struct topic_writer_member *m = account->member;

    if (!m)
        return;
    log_warn("table held", "table=%s topic=%s ledger_partition=%" PRId32 " reason=%s", m->table,
             evidence->topic, writer->ledger_partition, evidence->reason);
    if (m->held)
        m->held(m->arg, evidence->topic, evidence->reason);
}

static void judge(struct present *present, struct topic_writer *writer, int64_t spent_ms)
{
    struct trust_verdict *verdicts = xcalloc(present->appended_count + 1, sizeof(*verdicts));

    trust_aborted(writer->trust, present->evidence, present->appended_count, verdicts, spent_ms,
                  clock_mono_ms());
    for (size_t i = 0; i < present->appended_count; i++) {
        present->appended[i]->numbers_lost = present->evidence[i].undelivered;
        if (verdicts[i].is_news)
            tell_held(writer, present->appended[i], &present->evidence[i]);
    }
    free(verdicts);
}

/* librdkafka keeps numbering behind records that the brokers did not take. It corrects that
 * once, at the price of the next transaction: nobody is to blame for that one. */
static bool is_aftermath(struct present *present, const struct trouble *trouble)
{
    bool any = false;

    for (size_t i = 0; i < present->appended_count && trouble->out_of_order; i++) {
        any = any || present->appended[i]->numbers_lost;
        present->appended[i]->numbers_lost = false;
    }
    return any;
}

/* Nobody is blamed for a batch that was refused for its content (poison.h has that), nor for
 * an abort that a caller asked for. */
static void find_fault(struct present *present, struct topic_writer *writer,
                       const struct trouble *trouble)
{
    bool of_kafka = trouble->kafka_failed && !trouble->refused && !trouble->has_loss &&
                    !is_aftermath(present, trouble);

    if (trouble->ledger_failed || (of_kafka && present->appended_count == 0))
        trust_rest(writer->trust, clock_mono_ms());
    else if (of_kafka)
        judge(present, writer, clock_mono_ms() - writer->closed_ms);
}

/* ---- aborted ---- */

/* The member may be removed in each of its callbacks. */
static void tell_aborted(struct writer_account *account, const struct trouble *trouble)
{
    const struct writer_loss *loss = &account->loss;
    struct topic_writer_member *m = account->member;

    if (m && loss->is_set && m->log_lost)
        m->log_lost(m->arg, loss->partition, loss->offset, loss->before);
    if ((m = account->member) && trouble->halts && m->topic_failed)
        m->topic_failed(m->arg, trouble->topic, trouble->reason);
    if ((m = account->member))
        m->aborted(m->arg);
}

void topic_writer_outcome_aborted(struct topic_writer *writer, const struct trouble *trouble,
                                  bool rolled_back)
{
    struct present present;

    present_begin(&present, writer);
    gather(&present, writer, trouble);
    find_fault(&present, writer, trouble);
    if (rolled_back)
        metric_add(writer->aborts, 1);
    for (size_t i = 0; rolled_back && i < present.count; i++)
        tell_aborted(present.accounts[i], trouble);
    present_end(&present, writer);
}

#include "producer/request_decision.h"

#include <stdio.h>

static void decide(struct request_decision *ret, enum request_verdict verdict, const char *why)
{
    ret->verdict = verdict;
    snprintf(ret->why, sizeof(ret->why), "%s", why);
}

/* Of a table that goes on by itself it is told then. */
static void refuse_phase(struct request_decision *ret, const struct request_situation *at)
{
    const struct ledger_table *t = at->table;

    if (at->renews)
        return;
    ret->verdict = REQUEST_REFUSE;
    snprintf(ret->why, sizeof(ret->why), "the table is in phase %s: %s",
             ledger_phase_name(t->phase), t->reason);
}

/* ---- one function per type ---- */

static void decide_repair(struct request_decision *ret, const struct request_situation *at)
{
    if (at->runs)
        decide(ret, REQUEST_REPAIR, "");
    else
        refuse_phase(ret, at);
}

static void decide_snapshot(struct request_decision *ret, const struct table_signal *request,
                            const struct request_situation *at)
{
    const struct ledger_table *t = at->table;

    if (request->generation != 0 && request->generation != t->generation)
        decide(ret, REQUEST_PASS, "another generation has begun since");
    else if (t->phase == PHASE_PAUSED || t->phase == PHASE_GONE)
        refuse_phase(ret, at);
    else if (at->renews)
        decide(ret, REQUEST_PASS, "a new generation is about to begin");
    else if (t->generation == 0) /* what hinders its first one is looked at again */
        decide(ret, REQUEST_START, "");
    else
        decide(ret, REQUEST_RENEW, "");
}

static void decide_pause(struct request_decision *ret, const struct request_situation *at)
{
    if (at->runs || at->renews)
        decide(ret, REQUEST_PAUSE, "");
    else if (at->table->phase == PHASE_PAUSED)
        decide(ret, REQUEST_PASS, "it is paused");
    else
        refuse_phase(ret, at);
}

static void decide_resume(struct request_decision *ret, const struct request_situation *at)
{
    const struct ledger_table *t = at->table;

    if (at->runs)
        decide(ret, REQUEST_PASS, "it is not halted");
    else if (at->renews)
        decide(ret, REQUEST_PASS, "a new generation is about to begin");
    else if (t->phase != PHASE_GAP || t->generation == 0)
        decide(ret, REQUEST_START, "");
    else
        decide(ret, REQUEST_RENEW, "");
}

static void decide_report(struct request_decision *ret, const struct request_situation *at)
{
    if (at->runs)
        decide(ret, REQUEST_REPORT, "");
    else
        refuse_phase(ret, at);
}

static void decide_forget(struct request_decision *ret, const struct request_situation *at)
{
    if (at->table->phase != PHASE_GONE)
        decide(ret, REQUEST_REFUSE,
               "the table exists: leave it out with filter.collection.black");
    else if (at->table->forget)
        decide(ret, REQUEST_PASS, "it is being forgotten");
    else
        decide(ret, REQUEST_FORGET, "");
}

/* ---- all of them ---- */

/* What takes a halted table further goes on from what was committed; and what its last readers
 * still find is not about the life that it begins. */
static bool waits_for_the_end(enum request_verdict verdict, const struct request_situation *at)
{
    if (!at->halted || verdict == REQUEST_PASS || verdict == REQUEST_REFUSE)
        return false;
    return !at->is_committed || (verdict == REQUEST_START && !at->readers_ended);
}

void request_decision_make(struct request_decision *ret, const struct table_signal *request,
                           const struct request_situation *at)
{
    *ret = (struct request_decision){.verdict = REQUEST_WAIT};
    if (!at->runs && !at->halted)
        return;
    if (at->over) {
        decide(ret, REQUEST_REFUSE, "its snapshot is finished, and sync_mode is full");
        return;
    }
    switch (request->type) {
    case TABLE_SIGNAL_REPAIR:
        decide_repair(ret, at);
        break;
    case TABLE_SIGNAL_SNAPSHOT:
        decide_snapshot(ret, request, at);
        break;
    case TABLE_SIGNAL_PAUSE:
        decide_pause(ret, at);
        break;
    case TABLE_SIGNAL_RESUME:
        decide_resume(ret, at);
        break;
    case TABLE_SIGNAL_FORGET:
        decide_forget(ret, at);
        break;
    case TABLE_SIGNAL_REPORT:
        decide_report(ret, at);
        break;
    }
    if (waits_for_the_end(ret->verdict, at))
        ret->verdict = REQUEST_WAIT;
}

char *request_decision_reason(const struct table_signal *request)
{
    const char *reason = request->reason ? request->reason : "";

    return xasprintf("asked for by %.100s%s%.300s", request->sender, *reason ? ": " : "",
                     reason);
}

#include "producer/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum standing {
    TRUSTED, /* shares transactions */
    SUSPECT, /* has them alone */
    HELD,    /* has none until a time, then as a suspect */
};

struct trust_member {
    char *name;
    void *owner;
    enum standing standing;
    unsigned failures;     /* alone, in a row */
    uint64_t commits_seen; /* of all, at the last of them */
    bool proven;           /* the last of them was its own */
    bool told;
    int64_t until_ms; /* HELD */
    char topic[256];  /* why it is held */
    char reason[256];
    bool waits; /* for its turn */
    struct trust_member *next_waiting;
    UT_hash_handle hh;
};

struct trust {
    pthread_mutex_t lock; /* all below */
    struct trust_member *members;
    uint64_t commits;
    bool doubtful; /* somebody is held for what is not proven */

    /* the transaction that is open, or begun next */
    struct trust_member *alone; /* the suspect that has it */
    bool shared;                /* trusted members are in it */
    bool trusted_wait;
    struct trust_member *waiting; /* suspects, in the order of their coming */
    struct trust_member *turn;    /* the first of them, when it is kept for it */
    int64_t turn_ends_ms;

    unsigned rests; /* in a row */
    int64_t rest_until_ms;
};

/* ---- life ---- */

struct trust *trust_new(void)
{
    struct trust *t = xcalloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void trust_free(struct trust *t)
{
    struct trust_member *m, *next;

    if (!t)
        return;
    HASH_ITER(hh, t->members, m, next)
    {
        HASH_DEL(t->members, m);
        free(m->name);
        free(m);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Under lock. */
static void round_clear(struct trust *t)
{
    t->alone = NULL;
    t->shared = t->trusted_wait = false;
    t->waiting = t->turn = NULL;
    for (struct trust_member *m = t->members; m; m = m->hh.next)
        m->waits = false;
}

void trust_begin(struct trust *t)
{
    AUTO_LOCK(&t->lock);
    round_clear(t);
}

/* Who points to a member may come later than this: none is freed. */
void trust_clear(struct trust *t)
{
    AUTO_LOCK(&t->lock);
    round_clear(t);
    t->rests = 0;
    t->rest_until_ms = 0;
    for (struct trust_member *m = t->members; m; m = m->hh.next) {
        m->standing = TRUSTED;
        m->failures = 0;
        m->proven = m->told = false;
    }
}

struct trust_member *trust_member(struct trust *t, const char *topic)
{
    struct trust_member *m;

    AUTO_LOCK(&t->lock);
    HASH_FIND_STR(t->members, topic, m);
    if (m)
        return m;
    m = xcalloc(1, sizeof(*m));
    m->name = xstrdup(topic);
    HASH_ADD_KEYPTR(hh, t->members, m->name, strlen(m->name), m);
    return m;
}

void trust_member_set(struct trust *t, struct trust_member *m, void *owner)
{
    AUTO_LOCK(&t->lock);
    m->owner = owner;
}

/* Under lock. */
static void stop_waiting(struct trust *t, struct trust_member *m)
{
    struct trust_member **at = &t->waiting;

    if (t->turn == m)
        t->turn = NULL;
    while (*at && *at != m)
        at = &(*at)->next_waiting;
    if (*at)
        *at = m->next_waiting;
    m->waits = false;
}

void trust_member_unset(struct trust *t, struct trust_member *m, const void *owner)
{
    AUTO_LOCK(&t->lock);
    if (m->owner != owner) /* another has taken its place */
        return;
    m->owner = NULL;
    stop_waiting(t, m);
}

/* ---- entering ---- */

/* Under lock. */
static void wait_for_turn(struct trust *t, struct trust_member *m)
{
    struct trust_member **at = &t->waiting;

    if (m->waits)
        return;
    while (*at)
        at = &(*at)->next_waiting;
    *at = m;
    m->next_waiting = NULL;
    m->waits = true;
}

/* Under lock. */
static bool suspect_may(struct trust *t, struct trust_member *m)
{
    if (t->alone == m)
        return true;
    if (!t->alone && !t->shared && (!t->turn || t->turn == m))
        return true;
    wait_for_turn(t, m);
    return false;
}

bool trust_may_enter(struct trust *t, struct trust_member *m, int64_t now_ms)
{
    AUTO_LOCK(&t->lock);
    if (now_ms < t->rest_until_ms)
        return false;
    if (m->standing == HELD && now_ms < m->until_ms)
        return false;
    if (m->standing != TRUSTED)
        return suspect_may(t, m);
    if (!t->alone && (t->shared || !t->turn))
        return true;
    t->trusted_wait = true;
    return false;
}

void trust_entered(struct trust *t, struct trust_member *m)
{
    AUTO_LOCK(&t->lock);
    if (m->standing == TRUSTED) {
        t->shared = true;
        return;
    }
    t->alone = m;
    stop_waiting(t, m);
}

int64_t trust_wait_ms(struct trust *t, struct trust_member *m, int64_t now_ms)
{
    int64_t held = 0;

    AUTO_LOCK(&t->lock);
    if (m->standing == HELD)
        held = MAX(m->until_ms - now_ms, 0);
    return MAX(m->proven ? held : MIN(held, TRUST_ASK_AGAIN_MS),
               MAX(t->rest_until_ms - now_ms, 0));
}

bool trust_is_special(struct trust *t, struct trust_member *m)
{
    AUTO_LOCK(&t->lock);
    return m->standing != TRUSTED;
}

bool trust_is_alone(struct trust *t)
{
    AUTO_LOCK(&t->lock);
    return t->alone != NULL;
}

/* Under lock. Suspects and the trusted take turns, so that neither waits for all of the others.
 */
static void *choose(struct trust *t, bool trusted_first, int64_t now_ms)
{
    t->turn = NULL;
    if (t->waiting && !(trusted_first && t->trusted_wait)) {
        t->turn = t->waiting;
        t->turn_ends_ms = now_ms + TRUST_TURN_MS;
        return t->turn->owner;
    }
    t->trusted_wait = false;
    return NULL;
}

void *trust_next(struct trust *t, int64_t now_ms)
{
    bool was_alone;

    AUTO_LOCK(&t->lock);
    was_alone = t->alone != NULL;
    t->alone = NULL;
    t->shared = false;
    return choose(t, was_alone, now_ms);
}

void *trust_turn_over(struct trust *t, int64_t now_ms)
{
    AUTO_LOCK(&t->lock);
    if (t->turn && now_ms >= t->turn_ends_ms)
        stop_waiting(t, t->turn);
    if (t->alone || t->shared || t->turn)
        return NULL;
    return choose(t, true, now_ms);
}

int64_t trust_turn_ends_ms(struct trust *t)
{
    AUTO_LOCK(&t->lock);
    return t->turn ? t->turn_ends_ms : INT64_MAX;
}

/* ---- commits ---- */

bool trust_committed(struct trust *t, struct trust_member *m)
{
    bool told;

    AUTO_LOCK(&t->lock);
    told = m->told;
    m->standing = TRUSTED;
    m->failures = 0;
    m->proven = m->told = false;
    return told;
}

void trust_all_committed(struct trust *t)
{
    AUTO_LOCK(&t->lock);
    t->commits++;
    t->rests = 0;
    if (!t->doubtful)
        return;
    t->doubtful = false;
    for (struct trust_member *m = t->members; m; m = m->hh.next) {
        if (m->standing != HELD || m->proven)
            continue;
        m->standing = SUSPECT;
        m->failures = 1;
    }
}

/* ---- aborts ---- */

static int64_t doubled(unsigned times, int64_t longest_ms)
{
    return MIN(TRUST_HOLD_MS << MIN(times, 16u), longest_ms);
}

/* Under lock. Others lose what a failure costs: it must not be most of their time. */
static int64_t hold_ms(const struct trust_member *m, int64_t spent_ms)
{
    if (m->proven)
        return MAX(doubled(m->failures, TRUST_HOLD_LONGEST_MS), 2 * spent_ms);
    return MIN(MAX(doubled(m->failures, TRUST_DOUBT_LONGEST_MS), 2 * spent_ms),
               TRUST_DOUBT_LONGEST_MS);
}

/* Under lock. */
static struct trust_verdict hold(struct trust *t, const struct trust_evidence *e, bool proven,
                                 int64_t spent_ms, int64_t now_ms)
{
    struct trust_member *m = e->member;
    struct trust_verdict verdict = {.held = true};

    m->proven = proven || (m->failures > 0 && t->commits > m->commits_seen);
    m->commits_seen = t->commits;
    t->doubtful = t->doubtful || !m->proven;
    m->until_ms = now_ms + hold_ms(m, spent_ms);
    m->failures++;
    m->standing = HELD;
    snprintf(m->topic, sizeof(m->topic), "%s", e->topic);
    snprintf(m->reason, sizeof(m->reason), "%s", e->reason);
    verdict.is_news = !m->told && (m->proven || m->failures > 1);
    m->told = m->told || verdict.is_news;
    return verdict;
}

static size_t count_of(const struct trust_evidence *e, size_t count, bool named)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += named ? e[i].named : e[i].undelivered;
    return n;
}

void trust_aborted(struct trust *t, const struct trust_evidence *e, size_t count,
                   struct trust_verdict *ret, int64_t spent_ms, int64_t now_ms)
{
    bool any_named = count_of(e, count, true) > 0;
    size_t undelivered = count_of(e, count, false);
    size_t suspects = undelivered ? undelivered : count;

    AUTO_LOCK(&t->lock);
    for (size_t i = 0; i < count; i++) {
        bool is_one = any_named ? e[i].named : e[i].undelivered || !undelivered;

        ret[i] = (struct trust_verdict){0};
        if (!is_one)
            continue;
        if (any_named)
            ret[i] = hold(t, &e[i], true, spent_ms, now_ms);
        else if (suspects == 1) /* what others had beside it was taken, or it was alone */
            ret[i] = hold(t, &e[i], undelivered && count > 1, spent_ms, now_ms);
        else
            e[i].member->standing = SUSPECT;
    }
}

void trust_rest(struct trust *t, int64_t now_ms)
{
    AUTO_LOCK(&t->lock);
    t->rest_until_ms = now_ms + doubled(t->rests, TRUST_REST_LONGEST_MS);
    t->rests++;
}

bool trust_is_told(struct trust *t, struct trust_member *m, char *topic, char *reason,
                   size_t size)
{
    AUTO_LOCK(&t->lock);
    if (!m->told)
        return false;
    snprintf(topic, size, "%s", m->topic);
    snprintf(reason, size, "%s", m->reason);
    return true;
}

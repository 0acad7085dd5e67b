#include "producer/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum standing {
    TRUSTED,
    SUSPECT,
    HELD, /* until until_ms; then as good as a suspect */
};

struct trust_member {
    char *name;
    void *owner; /* NULL: none now */
    enum standing standing;
    unsigned failures;     /* alone, in a row */
    uint64_t commits_seen; /* trust's commits at the last of these failures */
    bool proven;           /* that failure was its own fault */
    bool told;             /* its owner knows that it is held */
    int64_t until_ms;
    char topic[256]; /* why it is held */
    char reason[256];
    bool waits; /* for a turn */
    struct trust_member *next_waiting;
    UT_hash_handle hh;
};

struct trust {
    pthread_mutex_t lock; /* all below */
    struct trust_member *members;
    uint64_t commits;
    bool doubtful; /* somebody is held for what is not proven */

    /* the open transaction, or the next one */
    struct trust_member *alone; /* the suspect that has it */
    bool shared;                /* trusted members are in it */
    bool trusted_wait;
    struct trust_member *waiting; /* suspects, first come first served */
    struct trust_member *turn;    /* the first of them, while it is kept for that one */
    int64_t turn_ends_ms;

    unsigned rests; /* of all members, in a row */
    int64_t rest_until_ms;
};

/* ---- life ---- */

struct trust *trust_new(void)
{
    struct trust *trust = xcalloc(1, sizeof(*trust));

    pthread_mutex_init(&trust->lock, NULL);
    return trust;
}

void trust_free(struct trust *trust)
{
    struct trust_member *member, *next;

    if (!trust)
        return;
    HASH_ITER(hh, trust->members, member, next) {
        HASH_DEL(trust->members, member);
        free(member->name);
        free(member);
    }
    pthread_mutex_destroy(&trust->lock);
    free(trust);
}

/* Under lock. */
static void round_clear(struct trust *trust)
{
    trust->alone = NULL;
    trust->shared = trust->trusted_wait = false;
    trust->waiting = trust->turn = NULL;
    for (struct trust_member *member = trust->members; member; member = member->hh.next)
        member->waits = false;
}

void trust_begin(struct trust *trust)
{
    AUTO_LOCK(&trust->lock);
    round_clear(trust);
}

/* Somebody may still point to a member, so none is freed. */
void trust_clear(struct trust *trust)
{
    AUTO_LOCK(&trust->lock);
    round_clear(trust);
    trust->rests = 0;
    trust->rest_until_ms = 0;
    for (struct trust_member *member = trust->members; member; member = member->hh.next) {
        member->standing = TRUSTED;
        member->failures = 0;
        member->proven = member->told = false;
    }
}

struct trust_member *trust_member(struct trust *trust, const char *topic)
{
    struct trust_member *member;

    AUTO_LOCK(&trust->lock);
    HASH_FIND_STR(trust->members, topic, member);
    if (member)
        return member;
    member = xcalloc(1, sizeof(*member));
    member->name = xstrdup(topic);
    HASH_ADD_KEYPTR(hh, trust->members, member->name, strlen(member->name), member);
    return member;
}

void trust_member_set(struct trust *trust, struct trust_member *member, void *owner)
{
    AUTO_LOCK(&trust->lock);
    member->owner = owner;
}

/* Under lock. */
static void stop_waiting(struct trust *trust, struct trust_member *member)
{
    struct trust_member **at = &trust->waiting;

    if (trust->turn == member)
        trust->turn = NULL;
    while (*at && *at != member)
        at = &(*at)->next_waiting;
    if (*at)
        *at = member->next_waiting;
    member->waits = false;
}

void trust_member_unset(struct trust *trust, struct trust_member *member, const void *owner)
{
    AUTO_LOCK(&trust->lock);
    if (member->owner != owner)
        return;
    member->owner = NULL;
    stop_waiting(trust, member);
}

/* ---- entering ---- */

/* Under lock. */
static void wait_for_turn(struct trust *trust, struct trust_member *member)
{
    struct trust_member **at = &trust->waiting;

    if (member->waits)
        return;
    while (*at)
        at = &(*at)->next_waiting;
    *at = member;
    member->next_waiting = NULL;
    member->waits = true;
}

/* Under lock. */
static bool suspect_may(struct trust *trust, struct trust_member *member)
{
    if (trust->alone == member)
        return true;
    if (!trust->alone && !trust->shared && (!trust->turn || trust->turn == member))
        return true;
    wait_for_turn(trust, member);
    return false;
}

bool trust_may_enter(struct trust *trust, struct trust_member *member, int64_t now_ms)
{
    AUTO_LOCK(&trust->lock);
    if (now_ms < trust->rest_until_ms)
        return false;
    if (member->standing == HELD && now_ms < member->until_ms)
        return false;
    if (member->standing != TRUSTED)
        return suspect_may(trust, member);
    if (!trust->alone && (trust->shared || !trust->turn))
        return true;
    trust->trusted_wait = true;
    return false;
}

void trust_entered(struct trust *trust, struct trust_member *member)
{
    AUTO_LOCK(&trust->lock);
    if (member->standing == TRUSTED) {
        trust->shared = true;
        return;
    }
    trust->alone = member;
    stop_waiting(trust, member);
}

int64_t trust_wait_ms(struct trust *trust, struct trust_member *member, int64_t now_ms)
{
    int64_t held = 0;

    AUTO_LOCK(&trust->lock);
    if (member->standing == HELD)
        held = MAX(member->until_ms - now_ms, 0);
    return MAX(member->proven ? held : MIN(held, TRUST_ASK_AGAIN_MS),
               MAX(trust->rest_until_ms - now_ms, 0));
}

void trust_try_now(struct trust *trust, struct trust_member *member)
{
    AUTO_LOCK(&trust->lock);
    member->until_ms = 0;
}

bool trust_is_special(struct trust *trust, struct trust_member *member)
{
    AUTO_LOCK(&trust->lock);
    return member->standing != TRUSTED;
}

bool trust_is_alone(struct trust *trust)
{
    AUTO_LOCK(&trust->lock);
    return trust->alone != NULL;
}

/* Under lock. Suspects and the trusted take turns, so that neither waits for all the others. */
static void *choose(struct trust *trust, bool trusted_first, int64_t now_ms)
{
    trust->turn = NULL;
    if (trust->waiting && !(trusted_first && trust->trusted_wait)) {
        trust->turn = trust->waiting;
        trust->turn_ends_ms = now_ms + TRUST_TURN_MS;
        return trust->turn->owner;
    }
    trust->trusted_wait = false;
    return NULL;
}

void *trust_next(struct trust *trust, int64_t now_ms)
{
    bool was_alone;

    AUTO_LOCK(&trust->lock);
    was_alone = trust->alone != NULL;
    trust->alone = NULL;
    trust->shared = false;
    return choose(trust, was_alone, now_ms);
}

void *trust_turn_over(struct trust *trust, int64_t now_ms)
{
    AUTO_LOCK(&trust->lock);
    if (trust->turn && now_ms >= trust->turn_ends_ms)
        stop_waiting(trust, trust->turn);
    if (trust->alone || trust->shared || trust->turn)
        return NULL;
    return choose(trust, true, now_ms);
}

int64_t trust_turn_ends_ms(struct trust *trust)
{
    AUTO_LOCK(&trust->lock);
    return trust->turn ? trust->turn_ends_ms : INT64_MAX;
}

/* ---- commits ---- */

bool trust_committed(struct trust *trust, struct trust_member *member)
{
    bool told;

    AUTO_LOCK(&trust->lock);
    told = member->told;
    member->standing = TRUSTED;
    member->failures = 0;
    member->proven = member->told = false;
    return told;
}

void trust_all_committed(struct trust *trust)
{
    AUTO_LOCK(&trust->lock);
    trust->commits++;
    trust->rests = 0;
    if (!trust->doubtful)
        return;
    trust->doubtful = false;
    for (struct trust_member *member = trust->members; member; member = member->hh.next) {
        if (member->standing != HELD || member->proven)
            continue;
        member->standing = SUSPECT;
        member->failures = 1;
    }
}

/* ---- aborts ---- */

static int64_t doubled(unsigned times, int64_t longest_ms)
{
    return MIN(TRUST_HOLD_MS << MIN(times, 16u), longest_ms);
}

/* Under lock. A failure costs everybody spent_ms: that must not become most of their time. */
static int64_t hold_ms(const struct trust_member *member, int64_t spent_ms)
{
    if (member->proven)
        return MAX(doubled(member->failures, TRUST_HOLD_LONGEST_MS), 2 * spent_ms);
    return MIN(MAX(doubled(member->failures, TRUST_DOUBT_LONGEST_MS), 2 * spent_ms),
               TRUST_DOUBT_LONGEST_MS);
}

/* Under lock. */
static struct trust_verdict hold(struct trust *trust, const struct trust_evidence *evidence,
                                 bool proven, int64_t spent_ms, int64_t now_ms)
{
    struct trust_member *member = evidence->member;
    struct trust_verdict verdict = {.held = true};

    member->proven = proven || (member->failures > 0 && trust->commits > member->commits_seen);
    member->commits_seen = trust->commits;
    trust->doubtful = trust->doubtful || !member->proven;
    member->until_ms = now_ms + hold_ms(member, spent_ms);
    member->failures++;
    member->standing = HELD;
    snprintf(member->topic, sizeof(member->topic), "%s", evidence->topic);
    snprintf(member->reason, sizeof(member->reason), "%s", evidence->reason);
    verdict.is_news = !member->told && (member->proven || member->failures > 1);
    member->told = member->told || verdict.is_news;
    return verdict;
}

static size_t count_of(const struct trust_evidence *evidence, size_t count, bool named)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += named ? evidence[i].named : evidence[i].undelivered;
    return n;
}

void trust_aborted(struct trust *trust, const struct trust_evidence *evidence, size_t count,
                   struct trust_verdict *ret, int64_t spent_ms, int64_t now_ms)
{
    bool any_named = count_of(evidence, count, true) > 0;
    size_t undelivered = count_of(evidence, count, false);
    size_t suspects = undelivered ? undelivered : count;

    AUTO_LOCK(&trust->lock);
    for (size_t i = 0; i < count; i++) {
        bool is_one = any_named ? evidence[i].named : evidence[i].undelivered || !undelivered;

        ret[i] = (struct trust_verdict){0};
        if (!is_one)
            continue;
        if (any_named)
            ret[i] = hold(trust, &evidence[i], true, spent_ms, now_ms);
        else if (suspects == 1) /* the records of all others were taken, or there are none */
            ret[i] = hold(trust, &evidence[i], undelivered && count > 1, spent_ms, now_ms);
        else
            evidence[i].member->standing = SUSPECT;
    }
}

void trust_rest(struct trust *trust, int64_t now_ms)
{
    AUTO_LOCK(&trust->lock);
    trust->rest_until_ms = now_ms + doubled(trust->rests, TRUST_REST_LONGEST_MS);
    trust->rests++;
}

bool trust_is_told(struct trust *trust, struct trust_member *member, char *topic, char *reason,
                   size_t size)
{
    AUTO_LOCK(&trust->lock);
    if (!member->told)
        return false;
    snprintf(topic, size, "%s", member->topic);
    snprintf(reason, size, "%s", member->reason);
    return true;
}

/* consumer/keeper.h - reads and changes the position documents of all partitions.
 *
 * A partition asks for one thing at a time and goes on with other work; threads of the keeper
 * take what is due of all partitions and make one command of up to a thousand. So 1,200 idle
 * partitions cost one find every five seconds, and a thousand goodbyes a few commands. After a
 * change that did not match everywhere, all documents of the command are read: each partition
 * is told what its document says.
 *
 * An ask is its partition's; from keeper_ask_* until it is answered it belongs to the keeper.
 * Any thread may call. */
#pragma once

#include "common/mongo/mongo.h"
#include "common/mongo/mongo_target.h"
#include "consumer/position.h"

enum position_answer {
    ANSWER_NONE,     /* nothing was asked, or it is not answered yet */
    ANSWER_DOCUMENT, /* doc is what was read; a change did not match, or was executed */
    ANSWER_CHANGED,  /* the change was executed and acknowledged */
    ANSWER_FAILED,   /* result and err say how; a change may have been executed */
};

struct position_ask {
    /* set once */
    const char *id; /* of the document */
    void *owner;

    /* the partition's, or the keeper's while it is out */
    struct position_change change;
    struct position_doc doc;
    enum mongo_result result; /* of a failure: MONGO_AGAIN or MONGO_UNKNOWN */
    struct error err;

    /* under the keeper's lock */
    enum {
        ASK_FREE,
        ASK_WAITS,
        ASK_OUT,
        ASK_ANSWERED
    } stage;
    enum position_answer answer;
    bool reads;
    int64_t at; /* when it is due */
    struct position_ask *next;
};

struct keeper;

/* answered: called without a lock for each ask that has its answer. */
struct keeper *keeper_new(const struct mongo_target *target, void (*answered)(void *owner));
/* false: a thread still was in a command after timeout_ms: nothing may be freed. */
bool keeper_stop(struct keeper *k, int64_t timeout_ms);
/* After keeper_stop; NULL is fine. */
void keeper_free(struct keeper *k);

/* Nothing may be asked for already. at: not before this time (clock_mono_ms). */
void keeper_ask_read(struct keeper *k, struct position_ask *ask, int64_t at);
void keeper_ask_change(struct keeper *k, struct position_ask *ask,
                       const struct position_change *change, int64_t at);
/* The answer, once; ANSWER_NONE: none yet. */
enum position_answer keeper_answer(struct keeper *k, struct position_ask *ask);
/* Is something asked for and not answered, or the answer not taken? */
bool keeper_is_asked(struct keeper *k, const struct position_ask *ask);
/* Takes back what is not on its way yet, and an answer that nobody took. false: it is out. */
bool keeper_take_back(struct keeper *k, struct position_ask *ask);

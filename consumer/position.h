/* consumer/position.h - where a partition stands in the target, and what its owner may do next.
 *
 * The target holds a document a partition. It is changed only by compare-and-set, so that of
 * two consumers that both believe to own the partition one finds out. A write can't be fenced
 * there, so a late one is healed: whoever finds its epoch gone after a write marks `rewind`
 * with the oldest offset it had not confirmed, and the owner applies again from there. Applying
 * in order from any earlier offset ends with the right values, so going back is always safe. An
 * owner that left without a goodbye may be dead before it can mark: its successor applies once
 * more from the take-over offset (`again`) after the grace in which a write may still come.
 * `again` is kept in the document, so that a successor that dies in the grace does not lose it.
 *
 * Everything here is pure: position_store.c does the reading and writing. Of the thread that
 * holds the partition. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POSITION_NONE (-1)
#define POSITION_TEXT_MAX 128

struct uuid {
    bool known; /* false: the server gives none */
    uint8_t bytes[16];
};
bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* The document `<topic>/<partition>`. */
struct position_doc {
    bool found;
    int64_t offset; /* the next one to apply; POSITION_NONE: there was no start yet */
    int64_t generation;
    char log_id[POSITION_TEXT_MAX];
    struct uuid uuid; /* of the collection that was written */
    int64_t epoch;
    char owner[POSITION_TEXT_MAX]; /* "" after a goodbye */
    char pass[POSITION_TEXT_MAX];  /* of a sweep; "" for none */
    int64_t rewind;                /* POSITION_NONE: none */
    int64_t again;                 /* POSITION_NONE: none */
};

/* What the target must hold for its offset to mean something here. */
struct position_source {
    const char *log_id;
    struct uuid uuid;
    int64_t generation; /* the newest */
    int64_t begin;      /* its begin in this partition; POSITION_NONE: not known yet */
    bool truncated;     /* the log does not reach back to the position any more */
};

/* The owner's memory of its partition. */
struct position {
    int64_t epoch;  /* 0: not taken */
    int64_t offset; /* confirmed: all before it is in the target, and the document says so */
    int64_t generation;
    char log_id[POSITION_TEXT_MAX];
    int64_t sent;        /* end of what was sent and not confirmed; POSITION_NONE: nothing */
    int64_t quiet_until; /* a write of unknown outcome may come until then; 0: none */
    int64_t again;       /* apply once more from here ... */
    int64_t again_at;    /* ... at this time; POSITION_NONE: no need */
};

void position_init(struct position *p);

enum position_start {
    POSITION_WAIT,       /* no begin is known yet: look again */
    POSITION_CONTINUE,   /* from where the target stands */
    POSITION_FROM_BEGIN, /* of the newest generation */
};

/* What a taker does with the document as it was before its find-and-modify: *ret is the
 * document to store by compare-and-set on {epoch, rewind}; untouched with POSITION_WAIT. */
enum position_start position_take(struct position_doc *ret, const struct position_doc *old,
                                  const struct position_source *source, const char *me);
/* The compare-and-set of the taker was done: the partition is p's. */
void position_taken(struct position *p, const struct position_doc *stored, int64_t now_ms,
                    int64_t grace_ms);

enum position_verdict {
    POSITION_MINE,   /* go on */
    POSITION_REWIND, /* mine, but apply again from *ret (after a compare-and-set that clears) */
    POSITION_LOST,   /* another owner's: mark what may have come late, then stop */
    POSITION_GONE,   /* someone removed the document: take over anew */
};
/* What a document that was read says to its owner: after a compare-and-set that matched
 * nothing, when idle, or before applying again after an unknown outcome. */
enum position_verdict position_judge(const struct position *p, const struct position_doc *doc,
                                     int64_t *ret);

void position_sending(struct position *p, int64_t end); /* before a command is sent */
void position_unknown(struct position *p, int64_t now_ms, int64_t grace_ms);
void position_confirmed(struct position *p, int64_t offset); /* the document was moved */
void position_went_back(struct position *p, int64_t offset); /* the document was set back */
void position_begins_again(struct position *p); /* the same, to position_again_from */

/* The offset that a loser marks for its successor; POSITION_NONE: nothing can come late. */
int64_t position_late_mark(const struct position *p);
/* May the owner say goodbye? Not while a write of its own may come late. (`again` stays in the
 * document: the successor sees to it.) */
bool position_settled(const struct position *p);
/* Is it time to apply once more? */
bool position_again_due(const struct position *p, int64_t now_ms);
/* From where: `again`, but never forward, since a mark may have set it back further. */
int64_t position_again_from(const struct position *p);
/* A write may be sent only by a member that polled its group lately, and after the quiet time.
 */
bool position_may_send(const struct position *p, int64_t now_ms, int64_t last_poll_ms,
                       int64_t session_ms);

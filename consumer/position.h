/* consumer/position.h - where a partition stands in the target, and what its owner may do next.
 *
 * The target holds one document per partition. It is changed only by compare-and-set (struct
 * position_change), so that of two consumers that both believe to own the partition one finds
 * out. A command that was not clearly acknowledged may have been executed all the same: then
 * the document is read, and what it says is the truth, never memory (position_adopt).
 *
 * A write of documents can't be fenced, so a late one is healed: whoever finds the partition
 * to be another's marks `rewind` with the oldest offset it had not confirmed, and the owner
 * applies again from there. Applying in order from any earlier offset ends with the right
 * values, so going back is always safe. An owner that left without a goodbye may be dead before
 * it can mark: its successor applies once more from the take-over offset (`again`) after the
 * grace in which a write may still come. `again` is kept in the document, so that a successor
 * that dies in the grace does not lose it.
 *
 * A generation that is not the first of its collection has a pass: a random name, put into the
 * document with the generation's begin, under which every key seen since is noted (seen.h). At
 * the generation's end the documents without a note are deleted (sweep.h), and the pass is
 * taken out of the document with the end. Whoever goes back to the begin, or before it, clears
 * the pass: what was noted then may not be what is seen now.
 *
 * Everything here is pure: position_store.c makes commands of it. Of the thread that holds the
 * partition. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/mongo/position_doc.h"

/* What the target must hold for its offset to mean something here. */
struct position_source {
    const char *log_id;
    struct uuid uuid;
    int64_t generation; /* the newest */
    int64_t begin;      /* its begin in this partition; POSITION_NONE: not known yet */
    bool rows;          /* that generation has rows */
    bool truncated;     /* the log does not reach back to the position any more */
};

/* The owner's memory of its partition. */
struct position {
    int64_t epoch;      /* 0: not taken */
    int64_t offset;     /* what the document says */
    int64_t applied;    /* everything before it is done with: in the target, with the dead
                           letters, or nothing to apply; >= offset, which moves there next */
    int64_t sent;       /* end of what was sent behind offset, answered or not; POSITION_NONE */
    int64_t generation; /* as of applied, like the next four */
    int64_t begin;
    int64_t rows_begin;
    char log_id[POSITION_TEXT_MAX];
    char pass[POSITION_TEXT_MAX];
    bool doubted;        /* something failed: only the document knows where it stands */
    int64_t quiet_until; /* a write of unknown outcome may come until then; 0: none */
    int64_t again;       /* apply once more from here ... */
    int64_t again_at;    /* ... at this time; POSITION_NONE: no need */
};

void position_init(struct position *position);

/* ---- changes of the document ---- */

/* What each compares besides that the document is there, and what it sets. */
enum position_change_kind {
    /* epoch, owner, rewind, again, offset and pass, or that there is none; all of next. Offset
     * and pass are compared too: between reading and storing the owner may have gone back for a
     * mark, also to the same offset again after it swept, when the notes are gone */
    POSITION_CHANGE_TAKE,
    POSITION_CHANGE_MOVE, /* epoch, owner, no rewind; offset, generation, begins, log, pass */
    POSITION_CHANGE_SET_BACK, /* epoch, owner, rewind; offset, rows_begin, pass, removes rewind
                               */
    POSITION_CHANGE_BEGIN_AGAIN, /* epoch, owner, no rewind; the same, removes again */
    POSITION_CHANGE_GOODBYE, /* epoch, owner; owner "", and as a move unless it is in doubt */
    POSITION_CHANGE_MARK,    /* generation, log; rewind, when it is lower */
};
struct position_change {
    enum position_change_kind kind;
    struct position_doc seen;
    struct position_doc next;
};

enum position_start {
    POSITION_WAIT,       /* no begin is known yet: look again */
    POSITION_CONTINUE,   /* from where the target stands */
    POSITION_FROM_BEGIN, /* of the newest generation */
};

/* What a taker does with the document as it read it. *ret untouched with POSITION_WAIT. */
enum position_start position_take(struct position_change *ret, const struct position_doc *old,
                                  const struct position_source *source, const char *me);
/* The document says what the taker wanted: the partition is p's. */
void position_taken(struct position *position, const struct position_doc *stored,
                    int64_t now_ms, int64_t grace_ms);
/* Is this document the one that the taker wanted to store (its answer got lost)? */
bool position_is_taken(const struct position_change *take, const struct position_doc *doc);

/* To p->applied. */
void position_move(struct position_change *ret, const struct position *position,
                   const char *me);
/* To offset; doc is what position_judge looked at. */
void position_set_back(struct position_change *ret, const struct position_doc *doc,
                       int64_t offset);
/* To position_again_from. */
void position_begin_again(struct position_change *ret, const struct position *position,
                          const char *me);
/* Not while a write of its own may come late (position_is_quiet). In doubt the document's
 * offset stays: a rewind may have been executed. `again` stays: the successor sees to it.
 * Without a clear answer it is said again; when it matches nothing, the mark follows: what was
 * written may have come late. */
void position_goodbye(struct position_change *ret, const struct position *position,
                      const char *me);
/* Tells the owner of doc how far back to begin. false: nothing of p can have come late. Never
 * before the begin of the owner's newest rows: they bring every value again. */
bool position_late_mark(struct position_change *ret, const struct position *position,
                        const struct position_doc *doc);

/* ---- memory ---- */

enum position_verdict {
    POSITION_MINE,   /* go on: position_agrees, else position_adopt */
    POSITION_REWIND, /* mine, but apply again from *ret (after position_set_back) */
    POSITION_LOST,   /* another owner's: mark what may have come late, then stop */
    POSITION_GONE,   /* someone removed the document: take over anew */
};
/* What a document that was read says to its owner: after a change that matched nothing or was
 * not acknowledged, when idle, or before applying again after an unknown outcome. */
enum position_verdict position_judge(const struct position *position,
                                     const struct position_doc *doc, const char *me,
                                     int64_t *ret);
/* Does the document of an owner whose commands were all answered say what it thinks? moved: the
 * offset that it asked for, or POSITION_NONE. */
bool position_agrees(const struct position *position, const struct position_doc *doc,
                     int64_t moved);
/* The document's offset, generation and `again` become memory's; everything that was read is
 * to be read again from there. */
void position_adopt(struct position *position, const struct position_doc *doc, int64_t now_ms,
                    int64_t grace_ms);

/* Before a command is sent. */
void position_sending(struct position *position, int64_t end);
/* That command. */
void position_unknown(struct position *position, int64_t now_ms, int64_t grace_ms);
/* Something went wrong: from now on only the document is believed. */
void position_doubt(struct position *position);
/* Acknowledged, letters included. */
void position_written(struct position *position, int64_t end);
/* Does the generation with rows whose begin is reached need a pass? Its collection's first one
 * does not, unless what stands before its begin was applied too, since somebody went back there
 * by hand. */
bool position_needs_pass(const struct position *position, int64_t begin, bool first);
/* A begin was applied. pass: "" for a generation that needs none. */
void position_begun(struct position *position, int64_t generation, int64_t begin,
                    const char *log_id, const char *pass);
/* The same, of a generation that has changes only. */
void position_begun_without_rows(struct position *position, int64_t generation, int64_t begin,
                                 const char *log_id);
/* What was seen can't be told any more: its generation's end is passed like any record. */
void position_gave_up_pass(struct position *position);
/* The documents without a note of the pass were deleted: its generation's end is applied. */
void position_swept(struct position *position, int64_t end);
/* Did the document hold this pass of this owner when it was read? Only then may a sweep delete
 * what it found before, without a note, since. */
bool position_may_sweep(const struct position *position, const struct position_doc *doc,
                        const char *me);
/* The document was moved. */
void position_confirmed(struct position *position, int64_t offset);
/* The document was set back. */
void position_went_back(struct position *position, int64_t offset);
/* The same, to position_again_from. */
void position_begins_again(struct position *position);

/* After a mark for another owner: may it be taken again? Only what the group still assigns. */
bool position_may_take_again(bool assigned);
/* Is something acknowledged that the document does not say yet? */
bool position_is_ahead(const struct position *position);
/* Can no write of unknown outcome come any more? */
bool position_is_quiet(const struct position *position, int64_t now_ms);
/* Is it time to apply once more? */
bool position_again_due(const struct position *position, int64_t now_ms);
/* From where: `again`, but never forward, since a mark may have set it back further. */
int64_t position_again_from(const struct position *position);
/* A write may be sent only by a member that polled its group lately, and after the quiet time.
 */
bool position_may_send(const struct position *position, int64_t now_ms, int64_t last_poll_ms,
                       int64_t session_ms);

/* tests/unit/support_generation_model.h - every order of a small case of generations in place.
 *
 * Consumers share one partition whose log holds generations. Each applies events, notes the
 * keys it saw under the pass of the generation, and at the generation's end deletes the
 * documents without a note. The group moves the partition when it pleases; a write, a delete
 * or a position command may be executed late, also after another consumer took over; one may
 * be killed; someone asks by hand for a replay; the notes of passes that no position holds are
 * collected. The documents, their notes and the position document are separate, and so are the
 * steps that read and write them. All decisions about positions are those of position.c.
 *
 * What test_position_model.c tries in every order is left out here: batches of several events,
 * and position commands that are under way while events are applied. The same is assumed of
 * time as in support_position_model.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GENERATION_LOG_MAX 10

enum generation_event_kind {
    GENERATION_PUT,           /* value 0: a delete */
    GENERATION_BEGIN,         /* of one with rows: what was before them is swept at its end */
    GENERATION_BEGIN_FIRST,   /* of the first one: it needs no pass */
    GENERATION_BEGIN_CHANGES, /* of one without rows */
    GENERATION_END,           /* of the rows */
};

struct generation_event {
    enum generation_event_kind kind;
    int generation; /* of a begin */
    int key, value; /* of a put */
};

/* What happens at most in one run. */
struct generation_case {
    const char *name;
    struct generation_event log[GENERATION_LOG_MAX];
    int log_len;
    bool starts_at_begin; /* of the newest generation, without a position; else at offset 0 */
    int consumers;        /* 2 or 3; the last one never ends */
    int lag;              /* events that are applied and not confirmed */
    int faults;           /* commands and writes without a clear answer */
    int ends;             /* consumers that are killed */
    int moves;            /* by the group; more when the owner is dead */
    int undecided;        /* taken again by one that was not told yet that it is another's */
    int replays;          /* by hand */
    int replay_to;        /* from this offset */
    int collects;         /* passes are listed, and those that no position holds dropped */
};

/* Rules left out. All but the first two are needed. */
struct generation_former {
    bool notes_first;    /* a sweep reads the notes before the documents */
    bool noted_first;    /* the note is written before the document that it stands for */
    bool one_for_all;    /* notes are not kept per pass: a begin and a sweep drop all */
    bool early_notes;    /* the pass is not waited for before the first note is written */
    bool note_unwaited;  /* the position moves past an event before its note is written */
    bool untold;         /* a late delete of a sweep is not marked */
    bool blind_take;     /* taking over does not compare the pass */
    bool rows_expected;  /* a begin without rows counts as one with rows */
    bool first_is_first; /* the first generation needs no pass, wherever its owner comes from */
    bool remembers;      /* what a sweep read is kept when its owner goes back */
};

struct generation_outcome {
    uint32_t states;
    size_t ends;
    bool wrong; /* at the end of a run: documents or position */
    bool took;  /* a sweep deleted what its generation holds at its end */
};

/* Prints the counts; the way to a wrong end too, when story says so. */
struct generation_outcome generation_model_run(const struct generation_case *c,
                                               const struct generation_former *former,
                                               bool story);

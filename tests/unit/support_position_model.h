/* tests/unit/support_position_model.h - every order of a small case of consumer/position.h.
 *
 * Consumers share one partition. The group moves it from one to another and tells the former
 * owner when it pleases; writes and position commands come when they please, also after another
 * took over; answers get lost; one consumer may be killed or stopped by a signal. The model
 * keeps the documents and the position document and does to it what position_store.c does; all
 * decisions are those of position.c.
 *
 * Assumed of time: a grace is over only when nothing that waited in a cut connection, or of a
 * consumer that ended, can come any more; and who did not notice for a whole grace of its
 * successor that the partition is another's lives until it has told that one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happens at most in one run. */
struct position_case {
    int consumers; /* 2 or 3; the last one never ends */
    int log_len;   /* 2 to 4 events */
    int faults;    /* commands and writes without a clear answer */
    int ends;      /* consumers that are killed or stopped by a signal */
    int moves;     /* by the group; more when the owner is dead */
    int undecided; /* taken again by one that was not told yet that it is another's */
    int batch_max; /* events in one write */
    bool told;     /* the former owner was told before the partition moves on again */
    bool at_once;  /* position commands but taking over are executed as soon as asked for */
};

/* Former rules, each of which was wrong. */
struct position_former {
    bool no_marks;     /* losers tell nobody */
    bool no_again;     /* nobody applies once more */
    bool stray;        /* taken over again after the mark, whatever the group says */
    bool memory;       /* after a command without an answer memory is the truth */
    bool blind_take;   /* a take-over does not compare the offset */
    bool goodbye_held; /* a held partition is left with a goodbye, not with a mark */
    bool goodbye_lost; /* a goodbye that was not clearly executed is not looked after */
};

struct position_outcome {
    uint32_t states;
    size_t ends;
    bool strayed; /* a consumer took over what was not its own */
    bool wrong;   /* values, or the position, at the end of a run */
};

/* Prints the counts; the way to a wrong end too, when there is no former rule. */
struct position_outcome position_model_run(const struct position_case *c,
                                           const struct position_former *former);

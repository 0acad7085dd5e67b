/* common/run/progress.h - shows how far long work is, how fast it goes and how long it takes
 * yet: in a line at the bottom of the terminal, and in the log, a line per table and minute,
 * where that is not on the same terminal.
 *
 * Of one thread, which looks at its tables when a look is due: nothing is counted for this. */
#pragma once

#include "common/run/progress_tables.h"

struct progress;

/* endless: as in progress_tables.h. */
struct progress *progress_new(bool endless);
/* NULL is fine. */
void progress_free(struct progress *progress);

/* Once a second. Then: begin_look, note for each table, end_look, which shows it all. */
bool progress_is_due(const struct progress *progress);
void progress_begin_look(struct progress *progress);
void progress_note(struct progress *progress, const struct progress_work *work);
void progress_end_look(struct progress *progress);

/* Tables are worked on one after another, and each is noted alone: which one this is. */
void progress_set_place(struct progress *progress, size_t number, size_t of);
/* A part of the work is done, or all of it: the line is gone until the next look. */
void progress_clear(struct progress *progress);
/* The work is over: a line that was shown gives way to one that says what was done. */
void progress_end(struct progress *progress);

/* common/run/progress_tables.h - the tables that long work is done on, as they are looked at
 * once a second: how far each is and all of them, and which of them are due for a line in the
 * log. Pure, by the times that it is given.
 *
 * A look is begun, each table noted, and the look ended; a table that was not noted is
 * forgotten. Work begins with the first look that finds a table at work, and ends with the
 * first that finds none. A table is due once a minute, from a minute after its work began; of
 * many that are due at once those with the most left. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/run/progress_line.h"

enum {
    PROGRESS_DUE_AT_MOST = 20 /* tables with a line of their own, at once */
};

enum progress_state {
    PROGRESS_RUNS,
    PROGRESS_WAITS,  /* its turn comes by itself */
    PROGRESS_STANDS, /* nothing is done until something else happens */
    PROGRESS_OVER
};

struct progress_work { /* a table's; copied but for what and did, which are static texts */
    const char *table;
    const char
        *what; /* "rows"; a table's figures begin anew with another text, or another did */
    const char *did; /* "copied" */
    int64_t done;
    int64_t left; /* about; PROGRESS_NOT_KNOWN */
    enum progress_state state;
};

struct progress_due { /* until the next look */
    const char *table;
    const char *what;
    const char *did;
    struct progress_figures figures; /* the rate is that since the last line */
};

struct progress_tables;

/* endless: tables are never over. One is at work while something is done or left, and is due
 * only while what is left takes seconds. */
struct progress_tables *progress_tables_new(bool endless);
void progress_tables_free(struct progress_tables *tables); /* NULL is fine */

void progress_tables_begin_look(struct progress_tables *tables, int64_t now_ms);
void progress_tables_note(struct progress_tables *tables, const struct progress_work *work);
void progress_tables_end_look(struct progress_tables *tables);

/* As the last look found it. */
bool progress_tables_at_work(const struct progress_tables *tables);
/* Of all tables; what and did are those of the first. */
void progress_tables_view(const struct progress_tables *tables, struct progress_view *ret);
/* The tables that are due; more than PROGRESS_DUE_AT_MOST are due: *ret_all is that of all. To
 * be asked once per look. */
size_t progress_tables_due(struct progress_tables *tables,
                           struct progress_due ret[PROGRESS_DUE_AT_MOST], size_t *ret_all);

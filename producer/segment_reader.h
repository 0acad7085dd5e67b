/* producer/segment_reader.h - scans one segment of a table: one page per step, through
 * guarded_read. */
#pragma once

#include "producer/append.h"
#include "producer/guarded_read.h"

struct segment_reader { /* of its step, but for progress_ms and fails */
    struct table_worker *w;
    int64_t number;
    struct step step;
    struct guarded_read read;
    struct append_origin origin;
    char *start_key; /* of the page that is asked for; NULL: the first */
    int64_t rows;    /* of the page, appended */
    bool charged;    /* to the table's pace, and it was not yet told what the page cost */
    bool distrust; /* the last answer was no whole JSON: check the next one before appending */
    unsigned tries;
    int64_t progress_ms; /* when it was started, or had to wait for capacity; monotonic */
    unsigned fails; /* in a row, since its table has its scan slot; under the table's lock */
};

/* Under lock, as all below. Makes the readers of the adopted or resumed generation. */
void segment_reader_make_all(struct table_worker *w);
/* All their steps have ended. */
void segment_reader_free_all(struct table_worker *w);
/* Those that are not done, while the table has its place among the scans. */
void segment_reader_start_all(struct table_worker *w);
void segment_reader_wake_all(struct table_worker *w);
/* No page of any segment came lately, or none can be appended: another table may scan. */
bool segment_reader_all_fail(const struct table_worker *w);
void segment_reader_try_anew(struct table_worker *w);

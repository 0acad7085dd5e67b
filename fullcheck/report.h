/* fullcheck/report.h - what was found: the file of differences, a line each, and the summary.
 *
 * schemas/fullcheck-report.schema.json describes both. The file may be written by any thread.
 */
#pragma once

#include <bson/bson.h>
#include <pthread.h>
#include <stdio.h>

#include "common/base/error.h"
#include "fullcheck/compare.h"

enum difference_kind {
    DIFFERENCE_MISSING,
    DIFFERENCE_EXTRA,
    DIFFERENCE_DIFFERENT,
    DIFFERENCE_DUPLICATE,
    DIFFERENCE_KINDS,
};

enum check_result {
    RESULT_SAME,
    RESULT_DIFFERENT,
    RESULT_UNKNOWN,
};

/* As in the schema. */
const char *report_result_name(enum check_result result);

struct table_result {
    char *table;
    enum check_result result;
    struct buf reason; /* why not "same"; of different ones beyond their lines */
    bool complete;
    int64_t items;
    int64_t documents; /* -1: could not be counted */
    int64_t checked;
    int64_t differences[DIFFERENCE_KINDS];
    int64_t repaired;
    int64_t foreign;
    const char *index; /* ok, missing, not needed, not checked */
};

struct report {
    pthread_mutex_t lock;
    FILE *differences;
    char *path;
};

/* ERR_FATAL when the file can't be made. */
int report_open(struct report *report, const char *path, struct error *err);
/* ERR_FATAL when not all of it could be written. */
int report_close(struct report *report, struct error *err);

/* ---- a difference's line, without its end ---- */

struct difference {
    const char *table;
    struct bytes key; /* canonical */
    enum difference_kind kind;
    struct bytes paths; /* what report_path wrote, one after the other: past some 256 KB none */
    struct bytes ids;   /* the _ids as extended JSON with commas between; empty: none to show */
    int64_t ts_ms;
    unsigned rechecks;
};

void report_path(struct buf *out, const struct compare_path *path, const struct canon *source,
                 const struct canon *target);
void report_id(struct buf *out, const bson_t *document);
void report_difference(struct buf *out, const struct difference *difference);
void report_write(struct report *report, struct bytes line, bool repaired);

/* ---- the summary ---- */

struct summary {
    enum check_result result;
    const char *reason;
    int64_t started_ms;
    int64_t finished_ms;
    const struct table_result *tables;
    size_t count;
};

void report_summary_json(FILE *out, const struct summary *summary);
void report_summary_text(FILE *out, const struct summary *summary);

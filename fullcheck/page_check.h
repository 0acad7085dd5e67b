/* fullcheck/page_check.h - a scan page: its items, and the documents of their keys.
 *
 * What does not match at once is only noted: recheck.h judges. */
#pragma once

#include "fullcheck/table_check.h"

/* The segment is this thread's own until it returns. */
int page_check(struct worker *w, struct scan_segment *segment, struct error *err);

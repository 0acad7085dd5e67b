/* fullcheck/outline.h - before the items: the index on the primary key, and how many there are
 * on both ends. */
#pragma once

#include "fullcheck/table_check.h"

/* ok, missing, not needed or not checked. */
int outline_index(const char **ret, struct worker *w, struct error *err);

/* All documents, also the user's own: as many as the server says. */
int outline_documents(int64_t *ret, struct worker *w, struct error *err);

/* Counts both ends exactly, again and again while they differ and --settle allows. */
struct outline_counts {
    int64_t items;
    int64_t documents;
    int64_t foreign; /* of them: the user's own */
};
int outline_count(struct outline_counts *ret, struct worker *w, struct error *err);

/* common/dynamodb/ddb_names.h - ListTables: the names of all tables, one page after another.
 * Errors as in ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"

/* names: an array of count C strings, all owned by the caller (ddb_names_free). */
int ddb_names_list(char ***ret, size_t *ret_count, struct ddb_client *c, struct error *err);
void ddb_names_free(char **names, size_t count);

/* The list while its pages come. */
struct ddb_names {
    char **names;
    size_t count;
    char *last; /* NULL: that was the last page */
};
void ddb_names_release(struct ddb_names *n);
/* Appends a page of ListTables. ERR_RETRY for an answer that is none, after some were. */
int ddb_names_read_page(struct ddb_names *n, struct bytes answer, struct error *err);

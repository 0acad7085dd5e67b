/* fullcheck/target_keys.h - one read of the keys of all documents.
 *
 * The first gives the fingerprint, the user's own documents and those under another _id; the
 * second finds the documents that made the fingerprints differ. On the main thread. */
#pragma once

#include "fullcheck/table_check.h"

int target_keys_read(struct worker *w, int64_t *ret_documents, int64_t *ret_foreign,
                     struct error *err);
/* Adds each key where the fingerprints differ to t->pending, waiting for room. */
int target_keys_add_doubtful(struct worker *w, struct error *err);

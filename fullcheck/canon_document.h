/* fullcheck/canon_document.h - a document's canonical form, from BSON. Of one thread. */
#pragma once

#include <bson/bson.h>

#include "fullcheck/canon.h"

/* A map of the document's fields, but for _id. */
struct canon *canon_document(struct canon_arena *a, const bson_t *document,
                             const struct canon_form *form);
/* The value at the iterator, in the same form. */
struct canon *canon_document_value(struct canon_arena *a, const bson_iter_t *it,
                                   const struct canon_form *form);

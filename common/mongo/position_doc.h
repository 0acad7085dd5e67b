/* common/mongo/position_doc.h - where a partition stands in a target: the document
 * `<topic>/<partition>` of the collection "dynaferry:applied".
 *
 * The consumer alone writes it (docs/positions.md). Pure. */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/mongo/uuid.h"

/* Positions and table documents: a name no table can have. */
#define POSITION_COLLECTION "dynaferry:applied"
#define POSITION_NONE (-1)
#define POSITION_TEXT_MAX 128

struct position_doc {
    bool found;
    int64_t offset; /* the next one to apply; POSITION_NONE: there was no start yet */
    int64_t generation;
    int64_t begin;      /* offset of the begin of that generation; POSITION_NONE: not known */
    int64_t rows_begin; /* the newest begin of a generation with rows: they bring every value
                           again; POSITION_NONE: not known, or the offset went back behind it,
                           or to it before its pass was swept */
    char log_id[POSITION_TEXT_MAX];
    struct uuid uuid; /* of the collection that was written */
    int64_t epoch;
    char owner[POSITION_TEXT_MAX]; /* "" after a goodbye */
    char pass[POSITION_TEXT_MAX];  /* of its generation; "": none, or it is swept */
    int64_t rewind;                /* POSITION_NONE: none */
    int64_t again;                 /* POSITION_NONE: none */
};

/* What a partition without a document has. */
extern const struct position_doc position_doc_absent;

void position_doc_read(struct position_doc *ret, const bson_t *doc);

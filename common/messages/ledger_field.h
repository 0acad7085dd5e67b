/* common/messages/ledger_field.h - the records of the ledger as tables of fields, which
 * describe both directions. For ledger.c. */
#pragma once

#include "common/messages/ledger.h"

enum ledger_field_kind {
    FIELD_STRING,   /* char *, never NULL */
    FIELD_NULLABLE, /* char *, NULL is null */
    FIELD_INT64,
    FIELD_INT32,
    FIELD_BOOL,
    FIELD_MARK, /* bool; left out when false */
    FIELD_PHASE,
    FIELD_STATUS,
    FIELD_SCHEMA,  /* struct key_schema */
    FIELD_OFFSETS, /* int64_t *, as many as the record's partitions; NULL is null */
    FIELD_INDEXES, /* struct ddb_indexes; left out when there are none */
};

struct ledger_field {
    const char *name;
    enum ledger_field_kind kind;
    size_t at;
};

/* The first field is never left out. */
void ledger_fields_encode(struct buf *out, const struct ledger_field *fields, size_t count,
                          const void *record);
/* Every field must stand there once, but for those that may be left out; unknown ones are from
 * a newer version and are left alone. ERR_DATA. */
int ledger_fields_decode(void *record, const struct ledger_field *fields, size_t count,
                         struct bytes json, struct error *err);

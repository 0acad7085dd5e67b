/* common/dynamodb/ddb_table.h - the calls about one table: describe, enable the stream.
 *
 * Each function is one request. Errors as in ddb_client.h. */
#pragma once

#include "common/dynamodb/ddb_client.h"
#include "common/dynamodb/ddb_scan.h"
#include "common/item/ddb_indexes.h"

struct ddb_table {
    char *name;
    char *arn;    /* TableArn, or "" */
    char *id;     /* TableId; where the service gives none, the table's ARN and creation time */
    char *status; /* "ACTIVE" ... */
    char *stream_arn; /* LatestStreamArn, or "" */
    bool stream_enabled;
    char *stream_view; /* "NEW_AND_OLD_IMAGES" ..., or "" */
    int64_t item_count;
    int64_t read_capacity;        /* provisioned units per second; 0: on demand */
    struct key_schema key_schema; /* no hash name: gone already while DELETING */
    struct ddb_indexes indexes;   /* secondary ones, global and local */
};

void ddb_table_free(struct ddb_table *table);
DEFINE_FREEP(struct ddb_table, ddb_table_freep, ddb_table_free)
/* DDB_NOT_FOUND: ERR_DATA. */
int ddb_table_describe(struct ddb_table **ret, struct ddb_client *client, const char *name,
                       struct error *err);
/* Reads DescribeTable's answer. ERR_RETRY for another one. */
int ddb_table_read(struct ddb_table **ret, struct bytes answer, struct error *err);

/* UpdateTable with this StreamViewType; then the caller polls ddb_table_describe. */
int ddb_table_enable_stream(struct ddb_client *client, const char *table, const char *view,
                            struct error *err);

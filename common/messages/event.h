/* common/messages/event.h - the message of a data topic: Debezium's envelope names around
 * DynamoDB JSON.
 *
 * schemas/event.schema.json describes it. Encoding copies the images byte for byte; decoding
 * gives slices of the message. Pure; structs here borrow everything they point to. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/error.h"

enum event_op {
    EVENT_ROW = 'r',
    EVENT_CREATE = 'c',
    EVENT_UPDATE = 'u',
    EVENT_DELETE = 'd',
    EVENT_CONTROL = 'm',
};

enum event_control {
    CONTROL_NONE,
    CONTROL_SNAPSHOT_BEGIN, /* "snapshot-begin": in every partition when a generation begins */
    CONTROL_SNAPSHOT_END,   /* "snapshot-end" */
    CONTROL_SKIPPED,        /* "skipped": in the place of a record that is a dead letter */
};

struct event {
    enum event_op op;
    int64_t ts_ms; /* when it was read */
    struct {
        struct bytes name; /* topic.prefix */
        struct bytes table;
        bool snapshot;
        int64_t generation;
        int64_t ts_ms; /* the source's time; -1: null */
        bool ttl;      /* deleted by DynamoDB's TTL */
    } source;
    struct bytes keys;   /* canonical object; empty only in begin and end: null */
    struct bytes after;  /* DynamoDB JSON object; empty: null */
    struct bytes before; /* empty: not there */
    struct {             /* only with op m: the "control" object */
        enum event_control type;
        struct bytes key_schema; /* JSON as key_schema_write writes it; begin and end */
        struct bytes log_id;     /* begin and end */
        bool rows;               /* begin and end */
        struct bytes reason;     /* skipped: plain ASCII text without quotes, backslashes */
    } control;
};

/* {"op":"r","ts_ms":..,"source":{"connector":"dynamodb","name":..,"table":..,"snapshot":true,
 *  "generation":..,"ts_ms":null},"keys":{..},"after":{..}[,"before":{..}]}, "ttl":true in
 * source only when true; op m has "control":{"type":..,..} and "after":null. */
void event_encode(struct buf *out, const struct event *ev);

/* ERR_DATA for anything that is not such an envelope. Member order does not matter; unknown
 * members are ignored. Slices point into message; name and table are raw (still escaped)
 * strings. */
int event_decode(struct event *ret, struct bytes message, struct error *err);

const char *event_control_name(enum event_control c);
/* CONTROL_NONE: unknown. */
enum event_control event_control_of(struct bytes name);

/* The names of the Kafka headers; values are ASCII text. */
#define EVENT_HEADER_SHARD "shard"
#define EVENT_HEADER_SEQUENCE "sequence"
#define EVENT_HEADER_SEGMENT "segment"
#define EVENT_HEADER_SIGNAL "signal"
#define EVENT_HEADER_GENERATION "generation"
#define EVENT_HEADER_CONTROL "control"

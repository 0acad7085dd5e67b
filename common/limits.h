/* common/limits.h - what all tables share: bytes of answers in flight, requests a second,
 * scans at once.
 *
 * Nothing blocks: who gets nothing comes again later. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"

struct limits;

/* rates: requests a second, 0 for no limit. */
struct limits *limits_new(int64_t memory_bytes, int64_t scan_rate, int64_t stream_rate,
                          int64_t tables_at_once);
void limits_free(struct limits *l);
DEFINE_FREEP(struct limits, limits_freep, limits_free)

/* Bytes are reserved before a request, by an estimate, and settled to its true size: a larger
 * answer goes over the budget rather than being lost, and nothing else starts until it is back
 * under it. A request larger than the whole budget gets it when nothing else is in flight. */
enum limits_use {
    LIMITS_SCAN,
    LIMITS_STREAM,
    LIMITS_USES
};
bool limits_reserve(struct limits *l, enum limits_use use, size_t bytes);
void limits_settle(struct limits *l, enum limits_use use, size_t reserved, size_t actual);
void limits_return(struct limits *l, enum limits_use use, size_t bytes);

/* 0: go, a token was taken; else come again in that many milliseconds. */
int64_t limits_scan_wait_ms(struct limits *l, int64_t now_ms);
int64_t limits_stream_wait_ms(struct limits *l, int64_t now_ms);
/* A place in the row of descriptions (10 a second for the account): in how many milliseconds it
 * is this caller's turn. It has to ask then and not before, and takes no second place. */
int64_t limits_describe_slot_ms(struct limits *l, int64_t now_ms);

/* A place among the tables that are scanned at once (full.concurrency). */
bool limits_scan_begin(struct limits *l);
void limits_scan_end(struct limits *l);

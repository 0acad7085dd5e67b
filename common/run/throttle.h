/* common/run/throttle.h - what all tables share: bytes of answers in flight, threads, requests
 * a second, scans at once.
 *
 * Nothing blocks: who gets nothing comes again when it is told that there is room. Any thread.
 *
 * Scans may be slow, or hang, for as long as a request may take, and changes must not wait for
 * them: of the bytes and of the threads that both share scans get three quarters at most. What
 * scans leave the streams may take, and the last quarter of the bytes is always theirs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/auto.h"

struct throttle;

/* threads: of the pool that scans and streams share; 0: there are no streams, and scans get
 * everything. rates: requests per second, 0 for no limit. */
struct throttle *throttle_new(int64_t memory_bytes, int64_t threads, int64_t scan_rate,
                              int64_t stream_rate, int64_t tables_at_once);
void throttle_free(struct throttle *t);
DEFINE_FREEP(struct throttle, throttle_freep, throttle_free)
/* fn is called when something came back (bytes, a thread, a place among the scans) after
 * somebody was refused: on the thread that gave it back, under no lock of ours. Set before
 * others use t. A refused caller must be where fn finds it before it asks. fn returns whether
 * others wait on: then it is called again without a refusal. */
void throttle_on_room(struct throttle *t, bool (*fn)(void *arg), void *arg);

/* Bytes are reserved before a request, by an estimate, and settled to its true size: a larger
 * answer goes over the share rather than being lost, and nothing else of its use starts until
 * it is back under it. A request larger than its share gets it when nothing of its use is in
 * flight. Each reservation is returned once (with the bytes that it was settled to): until then
 * one of a scan counts as a thread too. */
enum throttle_use {
    THROTTLE_SCAN,
    THROTTLE_STREAM,
    THROTTLE_USES
};
bool throttle_reserve(struct throttle *t, enum throttle_use use, size_t bytes);
void throttle_settle(struct throttle *t, enum throttle_use use, size_t reserved, size_t actual);
void throttle_return(struct throttle *t, enum throttle_use use, size_t bytes);

/* 0: go, a token was taken; else come again in that many milliseconds. */
int64_t throttle_scan_wait_ms(struct throttle *t, int64_t now_ms);
int64_t throttle_stream_wait_ms(struct throttle *t, int64_t now_ms);
/* A place in the row of descriptions (10 a second for the account): in how many milliseconds it
 * is this caller's turn. It has to ask then and not before, and takes no second place. */
int64_t throttle_describe_slot_ms(struct throttle *t, int64_t now_ms);

/* A place among the tables that are scanned at once (full.concurrency). */
bool throttle_scan_begin(struct throttle *t);
void throttle_scan_end(struct throttle *t);

/* tests/unit/support_table_bench.h - a table's worker whose steps are run by hand; the writer,
 * the ledger's cache, the source and the signal topic are made of what each test says.
 *
 * A test that uses it wraps what tests/CMakeLists.txt names for it. */
#pragma once

#include "common/base/clock.h"
#include "producer/ledger_dues.h"
#include "producer/signal_topic.h"
#include "producer/table_adopt.h"
#include "producer/table_record.h"
#include "producer/table_requests.h"
#include "producer/table_resume.h"
#include "producer/table_start.h"

struct bench {
    struct producer p;
    struct append_context a;
    struct config *config;
    struct poison *poison;
    struct table_worker *w;
};

/* What is around the worker; as at first again behind bench_end. */
struct bench_world {
    char last_value[4096]; /* of the last record that was appended */
    char tombstones[4096]; /* their keys, each with a space behind it */
    char last_error[1024]; /* the fields of the last line of the log at level error */

    /* another thread, once: during the next append or request, before the gate is entered, once
     * it is left */
    void (*meanwhile)(void);
    void (*at_the_gate)(void);
    void (*behind_the_gate)(void);
    struct bench *bench;           /* for them */
    struct pending_signal request; /* likewise */

    const struct ledger_table *in_ledger;
    bool ledger_is_broken;         /* the table's record */
    const char *const *other_keys; /* of the ledger; NULL behind the last */
    int64_t cache_has, topic_has;  /* of the ledger's topic: up to here */

    const struct pending_signal *asked; /* what is in the signal topic for the table */
    int64_t joined_from;                /* it joined there; -2: it has not yet */
};

extern struct bench_world world;

void bench_begin(struct bench *b, enum sync_mode mode, const struct ledger_table *known);
/* The same in sync_mode full, with its step for requests. */
void bench_begin_with_requests(struct bench *b, const struct ledger_table *known);
void bench_end(struct bench *b);
/* A record of generation 1, of one segment and one partition. */
struct ledger_table bench_record(enum ledger_phase phase, int64_t finished_ms);

/* ---- its steps ---- */

int64_t bench_control(struct bench *b);
/* Its step for requests, with this one in the signal topic. */
int64_t bench_take(struct bench *b, const struct pending_signal *pending);
/* By another thread, of world.bench: world.request. */
void bench_take_meanwhile(void);
struct pending_signal bench_request(enum table_signal_type type);
/* It is halted, takes the request that ends that, and waits for the commit. */
void bench_halted_and_asked(struct bench *b, const struct pending_signal *resume_request);

/* ---- its life ---- */

void bench_adopt_next(struct bench *b, int64_t generation);
void bench_resume(struct bench *b);
/* In sync_mode all. */
void bench_run_with_stream(struct bench *b, const struct ledger_table *known);
void bench_scan_everything(struct bench *b);
void bench_committed(struct bench *b);
void bench_aborted(struct bench *b);
void bench_topic_fails(struct bench *b);
bool bench_all_is_well(void);

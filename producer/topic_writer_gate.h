/* producer/topic_writer_gate.h - who may append when.
 *
 * Appenders share the gate. The commit and the abort of a transaction have it alone; while they
 * wait for it, no new appender comes in. Entering also depends on room in the handle's queue
 * and on whose records may share a transaction (trust.h). Any thread. */
#pragma once

#include "common/base/error.h"
#include "common/run/step_pool.h"
#include "producer/topic_writer_types.h"

#define TOPIC_WRITER_WAIT_MS 1000

/* Takes the gate for one member's appends. ERR_RETRY: not now (a commit or an abort is under
 * way, the queue is full, or the member has to wait for its turn). With a step, this returns at
 * once, the step returns TOPIC_WRITER_WAIT_MS and is woken when it may try again; step NULL:
 * waits for up to TOPIC_WRITER_WAIT_MS. ERR_FENCED: the writer is not open any more, drop
 * everything. */
int topic_writer_gate_enter(struct topic_writer *writer, struct topic_writer_member *m,
                            struct step *step, struct error *err);
void topic_writer_gate_exit(struct topic_writer *writer);
/* For how long this member is kept out after it failed alone; 0: it is not. Ask this before a
 * request whose answer could not be appended anyway. */
int64_t topic_writer_gate_wait_ms(struct topic_writer *writer, struct topic_writer_member *m);

/* What it was kept out for is over: it may try at once. */
void topic_writer_gate_try_now(struct topic_writer *writer, struct topic_writer_member *m);

/* ---- for the writer's own files ---- */

/* Waits until nobody is inside, and lets nobody in until it is opened again. */
void topic_writer_gate_close(struct topic_writer *writer);
/* The transaction is over: whoever comes next is woken. */
void topic_writer_gate_open(struct topic_writer *writer);
/* Under the writer's lock: a suspect that did not use its turn loses it. */
void topic_writer_gate_end_turn(struct topic_writer *writer);

/* producer/topic_writer_commit.h - the end of a transaction: when it is due, its commit or its
 * abort. */
#pragma once

struct topic_writer;

/* Commits without waiting for the interval: others wait for what was appended. Any thread. */
void topic_writer_commit_soon(struct topic_writer *writer);

/* ---- for the writer's own files ---- */

/* Commits or aborts the open transaction, if there is one. Under the exclusive gate. */
void topic_writer_commit_finish(struct topic_writer *writer);
/* The committer's thread, until stopping. */
void *topic_writer_commit_loop(void *writer);

/* consumer/group.h - the membership in the consumer group: which partitions are ours.
 *
 * Assignment is eager, and no message comes through this handle (see fetch.h). Of the main
 * thread, which does nothing else, so that its polls show that the process lives: writers send
 * nothing when the last poll is old. */
#pragma once

#include "common/base/auto.h"
#include "common/base/error.h"
#include "consumer/consumer.h"

#define GROUP_SESSION_MS 10000

struct group;

int group_new(struct group **ret, struct consumer *c, struct error *err);
void group_free(struct group *g);
DEFINE_FREEP(struct group, group_freep, group_free)

/* Joins and serves the group until a stop is requested or, with until_idle_ms >= 0, until
 * everything in all partitions was applied and nothing came for that long. ERR_FATAL: fenced by
 * a member of the same instance.id (78), or a halted table or partition (at the idle end).
 */
int group_run(struct group *g, int64_t until_idle_ms, struct error *err);
/* Gives all partitions up and leaves; false: one of them still was in a command after
 * timeout_ms. */
bool group_leave(struct group *g, int64_t timeout_ms);

/* producer/log_look.h - is the data topic of a running table still the log that it was?
 *
 * What is appended shows it by its offsets (topic_writer's log_lost), but nothing may be
 * appended for long. So the topic's ends are asked for now and then: none is ever less than it
 * was. Of the look step, but for log_look_is_due. */
#pragma once

#include "producer/doubt.h"
#include "producer/table_worker.h"

void log_look_begin(struct log_look *look, int64_t first_ms);
void log_look_release(struct log_look *look);
/* Under lock. Due: the next one is so much later. Else *next_ms is not behind its time. */
bool log_look_is_due(struct log_look *look, int64_t now_ms, int64_t pause_ms, int64_t *next_ms);
/* What is not answered is waited out: whoever appends is told. Ends that went back are asked
 * for again a few times, then the table has a gap. Returns when to choose the next look: at
 * once. */
int64_t log_look_at_ends(struct table_worker *w);

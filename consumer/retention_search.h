/* consumer/retention_search.h - how old the record is that a partition has to apply next.
 *
 * Kafka does not tell the time of an offset, but the first offset since a time: so the time is
 * searched for, by halves. A record of the last hundredth of the topic's retention is found
 * with the first question, since nearly all are. Pure: the caller asks and tells. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct retention_search {
    int64_t low, high; /* the record is at least as young as low, and older than high */
    int64_t wanted;    /* high - low, at most */
    int64_t first;     /* the first question; -1: it was asked */
};

/* now_ms: wall clock, as of records. keep_ms: the topic's retention. */
void retention_search_begin(struct retention_search *s, int64_t now_ms, int64_t keep_ms);
bool retention_search_ended(const struct retention_search *s);
/* The time to ask for. */
int64_t retention_search_question(const struct retention_search *s);
/* since: the first offset since that time; negative: there is none. */
void retention_search_told(struct retention_search *s, int64_t since, int64_t position);
/* The record is at least that young; older than twice the retention is not told apart. */
int64_t retention_search_time(const struct retention_search *s);

/* What was found of a partition, by whoever looks. */
struct retention_place {
    int64_t position;
    int64_t time_ms;
    int64_t found_ms; /* monotonic; 0: nothing */
    bool unknown;     /* its position was not known at the last look */
};

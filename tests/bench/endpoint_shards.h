/* tests/bench/endpoint_shards.h - tables and shards by the thousand, whose clock may run fast,
 * and how they were read.
 *
 * A shard has records at a steady rate and is closed after its life by that clock; it has one
 * child, which is listed a moment later. Closed shards are gone a day later. Nothing is kept
 * but counts: rows and records are made when they are asked for. All shards stand in one array
 * in the order of their birth, which is that of their numbers, their rolling and their listing
 * too. Of one thread. */
#pragma once

#include "common/base/bytes.h"

#define SHARD_NONE (-1)

struct source_options {
    int64_t tables;
    int64_t shards;       /* of each table, open at once */
    int64_t items;        /* rows of each table */
    int64_t records;      /* a second, over all shards */
    int64_t clock;        /* how many times faster it runs */
    int64_t roll_s;       /* a shard's life by that clock; 0: for ever */
    int64_t spread;       /* 1: rolls are spread over that time; 0: all come at once */
    int64_t list_ms;      /* so long a child is not listed */
    int64_t describes;    /* DescribeStream calls per second, for all */
    int64_t streams;      /* 1: tables have a stream from the start */
    int64_t knows_filter; /* 0: ShardFilter is not known, and not looked at */
};

struct shard { /* times are of the machine's clock; 0: not yet */
    int64_t table;
    int64_t parent; /* or SHARD_NONE */
    int64_t born_ms;
    int64_t closed_ms;
    int64_t read_ms; /* the last time */
    int64_t pause_ms;
    bool drained;
};

struct table {
    bool has_stream;
    int64_t *shards; /* numbers */
    int64_t count;
    int64_t first; /* the ones before are gone */
};

struct list {
    int64_t *values;
    size_t count;
};

struct source {
    struct source_options o;
    int64_t began_ms, began_wall_ms;
    struct table *tables;
    struct shard *shards;
    int64_t count;
    int64_t rolls_next; /* the oldest open shard */
    double rate;        /* records a millisecond of each shard */

    double describe_tokens; /* of a bucket for one second */
    int64_t describe_ms;

    /* since the reset */
    int64_t reset_ms;
    struct list described_ms;
    struct list children_ms; /* from a shard's birth to its first read, if it has a parent */
};

struct source *source_new(const struct source_options *options);

/* What the source's clock shows at a time of the machine's. */
int64_t source_clock_ms(const struct source *s, int64_t mono_ms);
/* Closes the shards whose life is over. Before anything is looked at. */
void source_roll(struct source *s, int64_t now_ms);
/* How many records it has had so far. */
int64_t source_records(const struct source *s, int64_t shard, int64_t now_ms);
bool source_is_gone(const struct source *s, int64_t shard, int64_t now_ms);
/* The place in the table's list of the first shard after this one (SHARD_NONE: of all) that is
 * not gone. */
int64_t source_list_after(struct source *s, struct table *t, int64_t after, int64_t now_ms);

void source_note_read(struct source *s, int64_t shard, int64_t now_ms);
/* A call of DescribeStream: false when there were too many. */
bool source_may_describe(struct source *s, int64_t now_ms);

/* Members of a JSON object: the largest pause between two reads of each shard (pauses_ms), from
 * birth to the first read (children_ms), counts. */
void source_stats(struct source *s, struct buf *out);
void source_reset(struct source *s);

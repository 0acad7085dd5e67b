/* tests/unit/support_table_model_state.h - a state of the model of a table: small numbers, so
 * that many states fit, and their way to and from the real table_state. */
#pragma once

#include "producer/shard_listing.h"
#include "producer/table_state.h"
#include "support_search.h"
#include "support_table_model.h"

enum stage {
    STARTING,
    ADOPTING,
    RUNNING,
    HALTED,   /* paused, which is committed */
    RESUMING, /* the end of that is appended */
    STANDING, /* a gap */
};

enum view { /* of a shard in a listing */
    UNSEEN,
    SEEN_OPEN,
    SEEN_CLOSED,
};

struct position { /* of a shard, as the ledger has it */
    signed char there, status, sequence, adopted;
};

struct model_shard {
    signed char recorded, recorded_committed, forgotten, dirty, started, place;
    struct position now, committed; /* committed.there: unused */
    struct position ledger, open;   /* open.there: 0 not appended, 1 a record, 2 a tombstone */
    signed char trimmed;            /* the service has it no more */
    signed char page;               /* as the first page showed it */
};

struct model_item {
    signed char value, change; /* of the last record, of the last change */
    signed char value_committed, change_committed;
    signed char scanned, scanned_committed, scan_dirty;
};

struct model_state {
    signed char stage, script, lies, faults, days, paged, listed;
    signed char offsets, offsets_committed, ended, ended_committed, record_dirty, record_due;
    signed char paused, paused_committed, pauses, asked; /* asked: in the open transaction */
    signed char ending; /* it was decided that the snapshot ends, and nothing of it appended */
    struct model_shard shards[MODEL_SHARDS];
    struct model_item items[MODEL_ITEMS];
};

struct model {
    const struct model_case *c;
    struct search search;
    struct model_outcome outcome;
    uint32_t bad; /* a state, or SEARCH_NOBODY */
    uint32_t gap; /* one before a gap */
    const char *why;
    bool moved; /* the visited state is not the end */
};

extern const char *const model_shard_ids[MODEL_SHARDS];

signed char model_number(const char *id);
char *model_text(int sequence);
bool model_is_closed(const struct model_state *s, const struct model_case *c, int shard);
bool model_exists(const struct model_state *s, const struct model_case *c, int shard);
int model_version(const struct model_state *s, const struct model_case *c, int item);
bool model_record(const struct model_state *s, const struct model_case *c, int shard, int after,
                  int *ret_item, int *ret_version);
struct model_record {
    bool offsets, ended, paused;
};

void model_table_record(struct ledger_table *t, const struct model_record *from);
void model_blank_record(struct ledger_table *t);
struct ledger_shard model_ledger_shard(const struct model_case *c, int shard,
                                       const struct position *p);
void model_build(struct table_state *t, const struct model_case *c,
                 const struct model_state *s);
void model_keep(struct model_state *s, const struct model_case *c, struct table_state *t);
void model_broken(struct model *m, const char *why);
void model_add(struct model *m, const struct model_state *s);
void model_gap(struct model *m, struct model_state *s);
void model_tell_way(const struct model *m, uint32_t number);

/* support_table_model_world.c: what a transaction and a listing come to. */
void model_append(struct model_state *s, const struct tree_shard *shard);
void model_commit(struct model *m, struct model_state s);
void model_abort(struct model *m, struct model_state s);
void model_crash(struct model *m, struct model_state s);
void model_look(struct model *m, const struct model_state *s);

/* common/dynamodb/ddb_source.h - where the tables are: endpoints, credentials, and what time it
 * is there.
 *
 * One for the program. All threads read it; only the skew of the clocks changes. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/dynamodb/aws_credentials.h"
#include "common/dynamodb/ddb_endpoint.h"

struct ddb_source {
    /* set once */
    struct aws_credentials *credentials;
    char *region;
    struct ddb_endpoint endpoints[2]; /* by enum ddb_service */
    bool gzip[2];
    /* any thread */
    atomic_llong skew_ms; /* the service's clock minus ours */
    atomic_bool skew_told;
};

/* ERR_FATAL, 78 for a region or an endpoint that is missing or can't be used. */
int ddb_source_new(struct ddb_source **ret, const struct config *c, struct error *err);
void ddb_source_free(struct ddb_source *source);
DEFINE_FREEP(struct ddb_source, ddb_source_freep, ddb_source_free)
/* The service's time, by the Date of its answers, refusals too; ours before the first one. What
 * a position's age is measured with. It is within a second and the time of a request of the
 * service's, and jumps only as far as an answer contradicts it. Any thread. */
int64_t ddb_source_now_ms(const struct ddb_source *source);
/* The service's clock minus ours. */
int64_t ddb_source_skew_ms(const struct ddb_source *source);
/* For the loop that logs: LARGE when the skew has grown over 5 minutes, once, until it is GONE
 * again. */
enum ddb_source_skew_news {
    DDB_SKEW_SAME,
    DDB_SKEW_LARGE,
    DDB_SKEW_GONE
};
enum ddb_source_skew_news ddb_source_skew_news(struct ddb_source *source, int64_t *ret_skew_ms);
/* Learns from the Date of an answer to a request of then (clock_mono_ms). False: it tells no
 * time. Any thread. */
bool ddb_source_take_time(struct ddb_source *source, const char *date, int64_t asked_mono_ms);
/* The skew after an answer with this Date to a request of then, answered now. Pure. */
int64_t ddb_source_skew_by_answer(int64_t skew_ms, int64_t date_ms, int64_t asked_ms,
                                  int64_t answered_ms);

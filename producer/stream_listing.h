/* producer/stream_listing.h - lists the shards of a table's stream, a page at a time.
 *
 * Descriptions of streams are few for a whole account, so each waits for its slot among those
 * of all tables (throttle.h). The listing under way is w->look's: of the look's step, or of the
 * control step before there is one. */
#pragma once

#include "producer/table_worker.h"

/* 0: it is this table's turn to describe its stream. Else when to come again; woken early, it
 * still waits for it. */
int64_t stream_listing_slot_ms(struct table_worker *w);

/* One page of a whole listing, when its slot has come. 0: *ret_done tells whether that was the
 * last page, and then the listing stands in w->look.listing; else when to come again. -1: err,
 * the listing begins anew. */
int64_t stream_listing_page(struct append_context *a, const char *arn, bool *ret_done,
                            struct error *err);
void stream_listing_drop(struct table_worker *w);

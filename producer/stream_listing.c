#include "producer/stream_listing.h"

#include <stdlib.h>

#include "common/base/clock.h"

void stream_listing_drop(struct table_worker *w)
{
    struct worker_look *l = &w->look;

    ddb_stream_free(TAKE(l->listing));
    free(TAKE(l->last));
    l->listed = false;
}

int64_t stream_listing_slot_ms(struct table_worker *w)
{
    struct worker_look *l = &w->look;
    int64_t now = clock_mono_ms();

    if (l->slot_at_ms == 0)
        l->slot_at_ms = now + throttle_describe_slot_ms(w->p->throttle, now);
    if (l->slot_at_ms > now)
        return l->slot_at_ms - now;
    l->slot_at_ms = 0;
    return 0;
}

int64_t stream_listing_page(struct append_context *a, const char *arn, bool *ret_done,
                            struct error *err)
{
    struct table_worker *w = a->w;
    struct worker_look *l = &w->look;
    int64_t wait;

    if (l->listing && l->listing->arn && strcmp(l->listing->arn, arn) != 0)
        stream_listing_drop(w); /* of an earlier start */
    *ret_done = l->listed;
    if (l->listed)
        return 0;
    wait = stream_listing_slot_ms(w);
    if (wait > 0)
        return wait;
    if (!l->listing)
        l->listing = xcalloc(1, sizeof(*l->listing));
    if (ddb_stream_describe_page(l->listing, &l->last, a->client, arn, err) < 0) {
        stream_listing_drop(w);
        return -1;
    }
    *ret_done = l->listed = l->last == NULL;
    if (l->listed)
        ddb_stream_merge(l->listing);
    return 0;
}

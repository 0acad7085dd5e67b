#include "producer/ledger_handle.h"

#include <stdlib.h>

#include "common/kafka/kafka_topic.h"

void ledger_handle_ref(struct ledger_handle *handle)
{
    atomic_fetch_add(&handle->refs, 1);
}

void ledger_handle_unref(struct ledger_handle *handle)
{
    if (atomic_fetch_sub(&handle->refs, 1) != 1)
        return;
    topic_writer_free(handle->writer);
    free(handle);
}

/* To the high watermark as a read_uncommitted handle sees it: what was just committed may not
 * be readable yet, and any other end would stop short of it. */
int ledger_handle_sync(struct ledger_handle *handle, struct error *err)
{
    struct producer *p = handle->p;
    int64_t high;

    if (kafka_topic_end_offsets(&high, p->admin, p->ledger_topic, handle->partition, 1,
                                LEDGER_HANDLE_CALL_MS, err) < 0)
        return -1;
    return ledger_cache_sync_to(p->cache, handle->partition, high, LEDGER_HANDLE_CALL_MS, err);
}

int ledger_handle_open(struct ledger_handle **ret, struct producer *p, int32_t partition,
                       struct error *err)
{
    struct ledger_handle *handle = xcalloc(1, sizeof(*handle));

    handle->p = p;
    handle->partition = partition;
    atomic_init(&handle->refs, 1);
    if (topic_writer_open(&handle->writer, p->config, partition, p->poison[partition], p->pool,
                          err) < 0) {
        ledger_handle_unref(handle);
        return -1;
    }
    if (ledger_handle_sync(handle, err) < 0) {
        ledger_handle_close(handle);
        ledger_handle_unref(handle);
        return -1;
    }
    *ret = handle;
    return 0;
}

void ledger_handle_close(struct ledger_handle *handle)
{
    topic_writer_close(handle->writer);
}

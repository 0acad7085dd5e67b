#include "producer/topic_writer_core.h"

#include <stdio.h>

void topic_writer_core_set_state(struct topic_writer *writer, enum topic_writer_state state)
{
    AUTO_LOCK(&writer->lock);
    if (writer->state == WRITER_OPEN)
        writer->state = state;
    pthread_cond_broadcast(&writer->changed);
}

void topic_writer_core_fail_transaction(struct topic_writer *writer, const char *topic,
                                        bool halts, const char *reason)
{
    struct trouble *trouble = &writer->trouble;

    trouble->must_abort = true;
    pthread_cond_broadcast(&writer->changed);
    if (trouble->is_set && (trouble->halts || !halts))
        return;
    trouble->is_set = true;
    trouble->halts = halts;
    snprintf(trouble->topic, sizeof(trouble->topic), "%s", topic);
    snprintf(trouble->reason, sizeof(trouble->reason), "%s", reason);
}

void topic_writer_core_note_stall(struct topic_writer *writer, const char *topic)
{
    AUTO_LOCK(&writer->lock);
    writer->trouble.stalled = writer->trouble.kafka_failed = true;
    topic_writer_core_fail_transaction(writer, topic, false, "Kafka does not take its records");
}

bool topic_writer_core_has_room(struct topic_writer *writer)
{
    long records = atomic_load(&writer->waiting_records);

    return records == 0 || ((size_t)atomic_load(&writer->waiting_bytes) < writer->queue_bytes &&
                            (size_t)records < writer->queue_records);
}

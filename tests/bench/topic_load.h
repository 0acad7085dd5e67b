/* tests/bench/topic_load.h - messages of a topic into memory, for a floor to send on; and the
 * read floor itself: a bare consumer that keeps what it reads. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdint.h>

#include "common/base/bytes.h"

#define LOADED_MAX_HEADERS 8

struct loaded {
    int32_t partition;
    struct bytes key;
    struct bytes value;
    size_t header_count;
    struct {
        char *name;
        struct bytes value;
    } headers[LOADED_MAX_HEADERS];
};

struct topic_load {
    struct loaded *messages;
    size_t count;
    int32_t partitions;
    int64_t bytes; /* keys and values of messages */
};

/* The messages that have this header, at most `most`, from the begin of every partition to its
 * end. */
struct topic_load topic_load(const char *brokers, const char *topic, const char *header,
                             size_t most);
/* Reads the topic to its end and throws it away; prints the read floor. */
void topic_read(const char *brokers, const char *topic);

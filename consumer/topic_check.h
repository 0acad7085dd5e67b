/* consumer/topic_check.h - what a partition has seen of its log before it reads on: CHECKING.
 */
#pragma once

#include "consumer/topic_identity.h"

struct topic_check { /* of the partition's holder */
    struct log_sight sights[LOG_PLACES];
    enum log_place place; /* being looked at */
    bool looking;
};

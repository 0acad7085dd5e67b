#include "common/mongo/mongo_reply.h"

#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <string.h>

#include "common/base/auto.h"
#include "common/base/exit_code.h"

/* The names are those of MongoDB's error_codes.yml; the ones without a name are in no list. */
static const struct {
    int32_t code;
    enum mongo_fault fault;
} known_codes[] = {
    /* What one record can be refused for. */
    {2, MONGO_FAULT_RECORD},     /* BadValue */
    {9, MONGO_FAULT_RECORD},     /* FailedToParse */
    {14, MONGO_FAULT_RECORD},    /* TypeMismatch */
    {15, MONGO_FAULT_RECORD},    /* Overflow: nested too deeply */
    {16, MONGO_FAULT_RECORD},    /* InvalidLength */
    {22, MONGO_FAULT_RECORD},    /* InvalidBSON */
    {28, MONGO_FAULT_RECORD},    /* PathNotViable */
    {52, MONGO_FAULT_RECORD},    /* DollarPrefixedFieldName */
    {53, MONGO_FAULT_RECORD},    /* InvalidIdField */
    {54, MONGO_FAULT_RECORD},    /* NotSingleValueField */
    {55, MONGO_FAULT_RECORD},    /* InvalidDBRef */
    {56, MONGO_FAULT_RECORD},    /* EmptyFieldName */
    {57, MONGO_FAULT_RECORD},    /* DottedFieldName */
    {66, MONGO_FAULT_RECORD},    /* ImmutableField */
    {121, MONGO_FAULT_RECORD},   /* DocumentValidationFailure */
    {171, MONGO_FAULT_RECORD},   /* CannotIndexParallelArrays: in an index of the user's */
    {201, MONGO_FAULT_RECORD},   /* CannotBuildIndexKeys */
    {357, MONGO_FAULT_RECORD},   /* InvalidBSONType */
    {378, MONGO_FAULT_RECORD},   /* NonConformantBSON */
    {10334, MONGO_FAULT_RECORD}, /* BSONObjectTooLarge */
    {MONGO_DUPLICATE_KEY, MONGO_FAULT_RECORD},
    {13027, MONGO_FAULT_RECORD}, /* a point out of a 2d index's range */
    {16755, MONGO_FAULT_RECORD}, /* no geo keys for a 2dsphere index */
    {17261, MONGO_FAULT_RECORD}, /* a text index's language is no string */
    {17262, MONGO_FAULT_RECORD}, /* an unknown language of a text index */
    {17280, MONGO_FAULT_RECORD}, /* KeyTooLong */
    {17419, MONGO_FAULT_RECORD}, /* the resulting document is too large */
    {17420, MONGO_FAULT_RECORD}, /* the document to upsert is too large */
    /* A mongos did not await the shard's answer, or somebody ended what waited for it: the
     * write may still come. (A mongod that says so has ended it; the two can't be told apart.)
     */
    {6, MONGO_FAULT_OUTCOME},     /* HostUnreachable */
    {7, MONGO_FAULT_OUTCOME},     /* HostNotFound */
    {50, MONGO_FAULT_OUTCOME},    /* MaxTimeMSExpired */
    {89, MONGO_FAULT_OUTCOME},    /* NetworkTimeout */
    {91, MONGO_FAULT_OUTCOME},    /* ShutdownInProgress */
    {202, MONGO_FAULT_OUTCOME},   /* NetworkInterfaceExceededTimeLimit */
    {262, MONGO_FAULT_OUTCOME},   /* ExceededTimeLimit */
    {279, MONGO_FAULT_OUTCOME},   /* ClientDisconnect */
    {317, MONGO_FAULT_OUTCOME},   /* ConnectionPoolExpired */
    {382, MONGO_FAULT_OUTCOME},   /* RemoteCommandExecutionError */
    {384, MONGO_FAULT_OUTCOME},   /* ConnectionError */
    {9001, MONGO_FAULT_OUTCOME},  /* SocketException */
    {11600, MONGO_FAULT_OUTCOME}, /* InterruptedAtShutdown */
    {11601, MONGO_FAULT_OUTCOME}, /* Interrupted */
    {46841, MONGO_FAULT_OUTCOME}, /* ClientMarkedKilled */
    {91331, MONGO_FAULT_OUTCOME}, /* RetriableRemoteCommandFailure */
    /* It was not done (any more): a new primary, a limit, a conflict; or nothing of the kind
     * can be done there, whatever the record. */
    {1, MONGO_FAULT_SERVER},        /* InternalError */
    {8, MONGO_FAULT_SERVER},        /* UnknownError */
    {13, MONGO_FAULT_SERVER},       /* Unauthorized: a missing right of ours */
    {18, MONGO_FAULT_SERVER},       /* AuthenticationFailed */
    {20, MONGO_FAULT_SERVER},       /* IllegalOperation: of the session or the topology */
    {24, MONGO_FAULT_SERVER},       /* LockTimeout */
    {26, MONGO_FAULT_SERVER},       /* NamespaceNotFound */
    {46, MONGO_FAULT_SERVER},       /* LockBusy */
    {59, MONGO_FAULT_SERVER},       /* CommandNotFound */
    {63, MONGO_FAULT_SERVER},       /* StaleShardVersion */
    {64, MONGO_FAULT_SERVER},       /* WriteConcernTimeout */
    {65, MONGO_FAULT_SERVER},       /* MultipleErrorsOccurred */
    {70, MONGO_FAULT_SERVER},       /* ShardNotFound */
    {72, MONGO_FAULT_SERVER},       /* InvalidOptions */
    {73, MONGO_FAULT_SERVER},       /* InvalidNamespace */
    {75, MONGO_FAULT_SERVER},       /* WriteConcernLegacyOK */
    {79, MONGO_FAULT_SERVER},       /* UnknownReplWriteConcern */
    {82, MONGO_FAULT_SERVER},       /* NoProgressMade */
    {83, MONGO_FAULT_SERVER},       /* RemoteResultsUnavailable */
    {90, MONGO_FAULT_SERVER},       /* CallbackCanceled */
    {94, MONGO_FAULT_SERVER},       /* NotYetInitialized */
    {95, MONGO_FAULT_SERVER},       /* NotSecondary */
    {100, MONGO_FAULT_SERVER},      /* UnsatisfiableWriteConcern */
    {107, MONGO_FAULT_SERVER},      /* LockFailed */
    {109, MONGO_FAULT_SERVER},      /* ConfigurationInProgress */
    {112, MONGO_FAULT_SERVER},      /* WriteConflict */
    {115, MONGO_FAULT_SERVER},      /* CommandNotSupported */
    {117, MONGO_FAULT_SERVER},      /* ConflictingOperationInProgress */
    {133, MONGO_FAULT_SERVER},      /* FailedToSatisfyReadPreference */
    {134, MONGO_FAULT_SERVER},      /* ReadConcernMajorityNotAvailableYet */
    {145, MONGO_FAULT_SERVER},      /* PooledConnectionsDropped */
    {146, MONGO_FAULT_SERVER},      /* ExceededMemoryLimit */
    {149, MONGO_FAULT_SERVER},      /* NoConfigPrimary */
    {150, MONGO_FAULT_SERVER},      /* StaleEpoch */
    {166, MONGO_FAULT_SERVER},      /* CommandNotSupportedOnView */
    {175, MONGO_FAULT_SERVER},      /* QueryPlanKilled */
    {189, MONGO_FAULT_SERVER},      /* PrimarySteppedDown */
    {190, MONGO_FAULT_SERVER},      /* MasterSlaveConnectionFailure */
    {199, MONGO_FAULT_SERVER},      /* ReplicaSetMonitorRemoved */
    {203, MONGO_FAULT_SERVER},      /* ShardingStateNotInitialized */
    {208, MONGO_FAULT_SERVER},      /* TooManyLocks */
    {209, MONGO_FAULT_SERVER},      /* StaleClusterTime */
    {211, MONGO_FAULT_SERVER},      /* KeyNotFound (cluster keys) */
    {215, MONGO_FAULT_SERVER},      /* DatabaseDropPending */
    {216, MONGO_FAULT_SERVER},      /* ElectionInProgress */
    {225, MONGO_FAULT_SERVER},      /* TransactionTooOld */
    {227, MONGO_FAULT_SERVER},      /* CannotImplicitlyCreateCollection */
    {230, MONGO_FAULT_SERVER},      /* DNSHostNotFound */
    {231, MONGO_FAULT_SERVER},      /* DNSProtocolError */
    {237, MONGO_FAULT_SERVER},      /* CursorKilled */
    {239, MONGO_FAULT_SERVER},      /* SnapshotTooOld */
    {246, MONGO_FAULT_SERVER},      /* SnapshotUnavailable */
    {249, MONGO_FAULT_SERVER},      /* StaleDbVersion */
    {250, MONGO_FAULT_SERVER},      /* StaleChunkHistory */
    {264, MONGO_FAULT_SERVER},      /* TooManyFilesOpen */
    {272, MONGO_FAULT_SERVER},      /* MigrationConflict */
    {281, MONGO_FAULT_SERVER},      /* TransactionCoordinatorSteppingDown */
    {290, MONGO_FAULT_SERVER},      /* TransactionExceededLifetimeLimitSeconds */
    {303, MONGO_FAULT_SERVER},      /* SplitHorizonChange */
    {310, MONGO_FAULT_SERVER},      /* PeriodicJobIsStopped */
    {314, MONGO_FAULT_SERVER},      /* ObjectIsBusy */
    {319, MONGO_FAULT_SERVER},      /* MovePrimaryInProgress */
    {333, MONGO_FAULT_SERVER},      /* ServiceExecutorInShutdown */
    {338, MONGO_FAULT_SERVER},      /* ReshardCollectionInProgress */
    {342, MONGO_FAULT_SERVER},      /* ReshardingCriticalSectionTimeout */
    {343, MONGO_FAULT_SERVER},      /* ShardCannotRefreshDueToLocksHeld */
    {355, MONGO_FAULT_SERVER},      /* InterruptedDueToStorageChange */
    {358, MONGO_FAULT_SERVER},      /* InternalTransactionNotSupported */
    {363, MONGO_FAULT_SERVER},      /* RetryableTransactionInProgress */
    {365, MONGO_FAULT_SERVER},      /* TemporarilyUnavailable */
    {371, MONGO_FAULT_SERVER},      /* UserWritesBlocked */
    {372, MONGO_FAULT_SERVER},      /* CloseConnectionForShutdownCommand */
    {379, MONGO_FAULT_SERVER},      /* DatabaseMetadataRefreshCanceled */
    {391, MONGO_FAULT_SERVER},      /* ReauthenticationRequired */
    {402, MONGO_FAULT_SERVER},      /* ResourceExhausted */
    {406, MONGO_FAULT_SERVER},      /* MigrationBlockingOperationCoordinatorCleaningUp */
    {407, MONGO_FAULT_SERVER},      /* PooledConnectionAcquisitionExceededTimeLimit */
    {412, MONGO_FAULT_SERVER},      /* UpdatesStillPending */
    {414, MONGO_FAULT_SERVER},      /* AddOrRemoveShardInProgress */
    {433, MONGO_FAULT_SERVER},      /* AdmissionQueueOverflow */
    {449, MONGO_FAULT_SERVER},      /* RateLimitExceeded */
    {450, MONGO_FAULT_SERVER},      /* PooledConnectionAcquisitionRejected */
    {453, MONGO_FAULT_SERVER},      /* InterruptedDueToReshardingCriticalSection */
    {462, MONGO_FAULT_SERVER},      /* IngressRequestRateLimitExceeded */
    {8000, MONGO_FAULT_SERVER},     /* AtlasError: quotas, rates */
    {10058, MONGO_FAULT_SERVER},    /* not primary or secondary (old servers) */
    {10107, MONGO_FAULT_SERVER},    /* NotWritablePrimary */
    {11602, MONGO_FAULT_SERVER},    /* InterruptedDueToReplStateChange */
    {12586, MONGO_FAULT_SERVER},    /* BackgroundOperationInProgressForDatabase */
    {12587, MONGO_FAULT_SERVER},    /* BackgroundOperationInProgressForNamespace */
    {13388, MONGO_FAULT_SERVER},    /* StaleConfig */
    {13435, MONGO_FAULT_SERVER},    /* NotPrimaryNoSecondaryOk */
    {13436, MONGO_FAULT_SERVER},    /* NotPrimaryOrSecondary */
    {14031, MONGO_FAULT_SERVER},    /* OutOfDiskSpace */
    {16500, MONGO_FAULT_SERVER},    /* Cosmos DB: too many requests */
    {50915, MONGO_FAULT_SERVER},    /* BackupCursorOpenConflictWithCheckpoint */
    {56846, MONGO_FAULT_SERVER},    /* ConfigServerUnreachable */
    {10045600, MONGO_FAULT_SERVER}, /* InterruptedDueToFCVChange */
};

enum mongo_fault mongo_reply_fault(int32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(known_codes); i++)
        if (known_codes[i].code == code)
            return known_codes[i].fault;
    return MONGO_FAULT_UNCLEAR;
}

static int64_t reply_number(const bson_t *reply, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, reply, name) ? bson_iter_as_int64(&it) : 0;
}

int32_t mongo_reply_code(const bson_t *reply)
{
    return (int32_t)reply_number(reply, "code");
}

int64_t mongo_reply_n(const bson_t *reply)
{
    return reply_number(reply, "n");
}

static bool reply_ok(const bson_t *reply)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, reply, "ok") && bson_iter_as_bool(&it);
}

bool mongo_reply_is_no(const bson_t *reply)
{
    return bson_has_field(reply, "ok") && !reply_ok(reply);
}

static const char *text_of(const bson_iter_t *document, const char *name)
{
    bson_iter_t it;

    if (bson_iter_recurse(document, &it) && bson_iter_find(&it, name) &&
        BSON_ITER_HOLDS_UTF8(&it))
        return bson_iter_utf8(&it, NULL);
    return "no reason given";
}

static bool concern_failed(const bson_t *reply, struct error *err)
{
    bson_iter_t it;

    if (!bson_iter_init_find(&it, reply, "writeConcernError") || !BSON_ITER_HOLDS_DOCUMENT(&it))
        return false;
    error_set(err, ERR_RETRY, "not acknowledged by a majority: %s", text_of(&it, "errmsg"));
    return true;
}

/* Without an answer. What failed before anything was sent was not executed. */
static enum mongo_result no_reply(const bson_error_t *why, struct error *err)
{
    bool unsent = why->domain == MONGOC_ERROR_SERVER_SELECTION ||
                  (why->domain == MONGOC_ERROR_STREAM &&
                   (why->code == MONGOC_ERROR_STREAM_CONNECT ||
                    why->code == MONGOC_ERROR_STREAM_NAME_RESOLUTION ||
                    why->code == MONGOC_ERROR_STREAM_NOT_ESTABLISHED));

    error_set(err, ERR_RETRY, "%s", why->message[0] ? why->message : "no answer");
    if (why->domain == MONGOC_ERROR_CLIENT && why->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        error_fatal(err, EXIT_NO_RIGHT, "login refused: %s", why->message);
        return MONGO_AGAIN;
    }
    return unsent ? MONGO_AGAIN : MONGO_UNKNOWN;
}

static enum mongo_result refused(const bson_t *reply, const bson_error_t *why,
                                 struct error *err)
{
    int32_t code = mongo_reply_code(reply);
    enum mongo_fault fault = mongo_reply_fault(code);

    error_set(err, fault == MONGO_FAULT_RECORD ? ERR_DATA : ERR_RETRY, "%s (code %" PRId32 ")",
              why->message[0] ? why->message : "refused without a reason", code);
    if (code == 13 || code == 18)
        error_fatal(err, EXIT_NO_RIGHT, "no right: %s", why->message);
    switch (fault) {
    case MONGO_FAULT_RECORD:
        return MONGO_REFUSED;
    case MONGO_FAULT_OUTCOME:
        return MONGO_UNKNOWN;
    case MONGO_FAULT_SERVER:
    case MONGO_FAULT_UNCLEAR:
        break;
    }
    return MONGO_AGAIN;
}

enum mongo_result mongo_reply_result(const bson_t *reply, const bson_error_t *why,
                                     struct error *err)
{
    if (!bson_has_field(reply, "ok"))
        return no_reply(why, err);
    if (mongo_reply_is_no(reply))
        return refused(reply, why, err);
    return concern_failed(reply, err) ? MONGO_AGAIN : MONGO_DONE;
}

void mongo_reply_write_errors(const bson_t *reply,
                              void (*each)(void *arg, const struct mongo_write_error *e),
                              void *arg)
{
    bson_iter_t list, it;

    if (!bson_iter_init_find(&list, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&list) ||
        !bson_iter_recurse(&list, &it))
        return;
    while (bson_iter_next(&it)) {
        struct mongo_write_error e = {.index = -1};
        bson_iter_t member;

        if (!BSON_ITER_HOLDS_DOCUMENT(&it))
            continue;
        if (bson_iter_recurse(&it, &member) && bson_iter_find(&member, "index"))
            e.index = (int32_t)bson_iter_as_int64(&member);
        if (bson_iter_recurse(&it, &member) && bson_iter_find(&member, "code"))
            e.code = (int32_t)bson_iter_as_int64(&member);
        e.message = text_of(&it, "errmsg");
        each(arg, &e);
    }
}

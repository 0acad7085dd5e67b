#include <inttypes.h>
#include <string.h>

#include "common/exit_code.h"
#include "common/mongo.h"

/* The server did not do it (any more): a new primary, a shutdown, a limit, a conflict; or
 * nothing of the kind can be done there, whatever the record. */
static const int32_t again_codes[] = {
    1,     /* InternalError */
    8,     /* UnknownError */
    13,    /* Unauthorized: a missing right of ours, never the record's fault */
    18,    /* AuthenticationFailed */
    20,    /* IllegalOperation: of the session or the topology */
    24,    /* LockTimeout */
    26,    /* NamespaceNotFound */
    46,    /* LockBusy */
    50,    /* MaxTimeMSExpired */
    59,    /* CommandNotFound */
    63,    /* StaleShardVersion */
    64,    /* WriteConcernFailed */
    65,    /* MultipleErrorsOccurred */
    72,    /* InvalidOptions */
    73,    /* InvalidNamespace */
    79,    /* UnknownReplWriteConcern */
    91,    /* ShutdownInProgress */
    100,   /* UnsatisfiableWriteConcern */
    112,   /* WriteConflict */
    115,   /* CommandNotSupported */
    133,   /* FailedToSatisfyReadPreference */
    134,   /* ReadConcernMajorityNotAvailableYet */
    150,   /* StaleEpoch */
    166,   /* CommandNotSupportedOnView */
    175,   /* QueryPlanKilled */
    189,   /* PrimarySteppedDown */
    211,   /* KeyNotFound (cluster keys) */
    225,   /* TransactionTooOld */
    249,   /* StaleChunkHistory */
    250,   /* StaleDbVersion */
    290,   /* TransactionExceededLifetimeLimitSeconds */
    314,   /* ObjectIsBusy */
    391,   /* ReauthenticationRequired */
    8000,  /* AtlasError: quotas, rates */
    10058, /* not primary or secondary (old servers) */
    10107, /* NotWritablePrimary */
    11600, /* InterruptedAtShutdown */
    11601, /* Interrupted */
    11602, /* InterruptedDueToReplStateChange */
    13388, /* StaleConfig */
    13435, /* NotPrimaryNoSecondaryOk */
    13436, /* NotPrimaryOrSecondary */
    14031, /* OutOfDiskSpace */
};

/* Another server's answer was not awaited (mongos): the write may still come. */
static const int32_t unknown_codes[] = {
    6,    /* HostUnreachable */
    7,    /* HostNotFound */
    89,   /* NetworkTimeout */
    202,  /* NetworkInterfaceExceededTimeLimit */
    262,  /* ExceededTimeLimit */
    384,  /* ConnectionError */
    9001, /* SocketException */
};

/* What a whole command may be refused with because of one of its records. Any other refusal of
 * a command is waited out: a record is given up only when it is known to be the reason. */
static const int32_t record_codes[] = {
    2,     /* BadValue */
    9,     /* FailedToParse */
    14,    /* TypeMismatch */
    15,    /* Overflow: nested too deeply */
    16,    /* InvalidLength */
    22,    /* InvalidBSON */
    28,    /* PathNotViable */
    52,    /* DollarPrefixedFieldName */
    53,    /* InvalidIdField */
    54,    /* NotSingleValueField */
    55,    /* InvalidDBRef */
    56,    /* EmptyFieldName */
    57,    /* DottedFieldName */
    66,    /* ImmutableField */
    121,   /* DocumentValidationFailure */
    10334, /* BSONObjectTooLarge */
    11000, /* DuplicateKey */
    17280, /* KeyTooLong */
    17419, /* the resulting document is too large */
    17420, /* the document to upsert is too large */
};

static bool among(const int32_t *codes, size_t n, int32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (codes[i] == code)
            return true;
    return false;
}

enum mongo_result mongo_write_error_result(int32_t code)
{
    if (among(again_codes, ARRAY_LEN(again_codes), code))
        return MONGO_AGAIN;
    if (among(unknown_codes, ARRAY_LEN(unknown_codes), code))
        return MONGO_UNKNOWN;
    return MONGO_REFUSED;
}

bool mongo_may_be_a_records_fault(int32_t code)
{
    return among(record_codes, ARRAY_LEN(record_codes), code);
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
    enum mongo_result result = mongo_write_error_result(code);

    error_set(err, result == MONGO_REFUSED ? ERR_DATA : ERR_RETRY, "%s (code %" PRId32 ")",
              why->message[0] ? why->message : "refused without a reason", code);
    if (code == 13 || code == 18)
        error_fatal(err, EXIT_NO_RIGHT, "no right: %s", why->message);
    return result;
}

enum mongo_result mongo_reply_result(const bson_t *reply, const bson_error_t *why,
                                     struct error *err)
{
    if (!bson_has_field(reply, "ok"))
        return no_reply(why, err);
    if (!reply_ok(reply))
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

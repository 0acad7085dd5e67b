#include "common/mongo/mongo.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/config/config_address.h"
#include "common/run/stop.h"

#define DEFAULT_WRITE_COUNT 1000
#define DEFAULT_MAX_BYTES (16 << 20)
/* A command's own members beside its records. */
#define COMMAND_RESERVE (16 << 10)

struct mongo *mongo_new(const struct mongo_target *t)
{
    struct mongo *m = xcalloc(1, sizeof(*m));

    m->target = t;
    return m;
}

struct mongo *mongo_patient_new(const struct mongo_target *t)
{
    struct mongo *m = mongo_new(t);

    m->patient = true;
    return m;
}

int mongo_open(struct mongo *m, struct error *err)
{
    return m->client ? 0 : mongo_target_client_new(&m->client, m->target, m->patient, err);
}

void mongo_free(struct mongo *m)
{
    if (!m)
        return;
    mongoc_client_destroy(m->client);
    free(m);
}

enum mongo_result mongo_judge(struct mongo *m, const bson_t *reply, const bson_error_t *why,
                              struct error *err)
{
    m->answered_no = mongo_reply_is_no(reply);
    return mongo_reply_result(reply, why, err);
}

static enum mongo_result not_sent(struct mongo *m, bson_t *reply)
{
    m->answered_no = false;
    bson_init(reply);
    return MONGO_AGAIN;
}

enum mongo_result mongo_write(struct mongo *m, const char *database, const bson_t *command,
                              bson_t *reply, struct error *err)
{
    bson_error_t why = {0};

    if (mongo_open(m, err) < 0)
        return not_sent(m, reply);
    mongoc_client_write_command_with_opts(m->client, database, command, NULL, reply, &why);
    return mongo_judge(m, reply, &why, err);
}

enum mongo_result mongo_read(struct mongo *m, const char *database, const bson_t *command,
                             bson_t *reply, struct error *err)
{
    bson_error_t why = {0};

    if (mongo_open(m, err) < 0)
        return not_sent(m, reply);
    mongoc_client_read_command_with_opts(m->client, database, command, NULL, NULL, reply, &why);
    return mongo_judge(m, reply, &why, err);
}

int mongo_ping(struct mongo *m, struct error *err)
{
    AUTO(mongo_bsonp) bson_t *command = BCON_NEW("ping", BCON_INT32(1));
    bson_t reply;
    enum mongo_result result = mongo_read(m, m->target->database, command, &reply, err);

    bson_destroy(&reply);
    return result == MONGO_DONE ? 0 : -1;
}

static size_t limit_of(const bson_t *hello, const char *name, size_t otherwise)
{
    bson_iter_t it;

    if (bson_iter_init_find(&it, hello, name) && bson_iter_as_int64(&it) > 0)
        return (size_t)bson_iter_as_int64(&it);
    return otherwise;
}

int mongo_limits(struct mongo *m, struct error *err)
{
    mongoc_server_description_t *sd;
    const bson_t *hello;
    bson_error_t why;

    if (m->max_write_count)
        return 0;
    if (mongo_open(m, err) < 0)
        return -1;
    sd = mongoc_client_select_server(m->client, true, NULL, &why);
    if (!sd)
        return error_set(err, ERR_RETRY, "%s", why.message);
    hello = mongoc_server_description_hello_response(sd);
    m->max_write_count = limit_of(hello, "maxWriteBatchSize", DEFAULT_WRITE_COUNT);
    m->max_bytes = MAX(limit_of(hello, "maxBsonObjectSize", DEFAULT_MAX_BYTES),
                       2 * (size_t)COMMAND_RESERVE) -
                   COMMAND_RESERVE;
    mongoc_server_description_destroy(sd);
    return 0;
}

int mongo_wait(const struct mongo_target *t, int64_t timeout_ms, struct error *err)
{
    AUTO(mongo_freep) struct mongo *m = mongo_new(t);
    AUTO(free_charp) char *hosts = config_address_hosts(mongoc_uri_get_string(t->uri));
    int64_t end = clock_mono_ms() + timeout_ms;

    do {
        if (mongo_ping(m, err) == 0)
            return 0;
        if (err->kind == ERR_FATAL)
            return error_prefix(err, "MongoDB at %s", hosts);
    } while (clock_mono_ms() < end && !stop_wait_ms(500));
    if (stop_requested())
        return 0;
    error_prefix(err, "MongoDB at %s does not answer", hosts);
    err->kind = ERR_FATAL;
    err->code = EXIT_UNREACHABLE;
    return -1;
}

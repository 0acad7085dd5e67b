#include "common/mongo/mongo_target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exit_code.h"
#include "common/config/config_address.h"

#define SELECTION_MS 5000

static int check_write_concern(const mongoc_uri_t *uri, struct error *err)
{
    const mongoc_write_concern_t *wc = mongoc_uri_get_write_concern(uri);
    int32_t w = mongoc_write_concern_get_w(wc);

    if (w != MONGOC_WRITE_CONCERN_W_DEFAULT && w != MONGOC_WRITE_CONCERN_W_MAJORITY)
        return error_fatal(err, EXIT_CONFIGURATION,
                           "target.address: its write concern (w=) may ask for less than "
                           "majority; leave w out");
    if (mongoc_write_concern_journal_is_set(wc) && !mongoc_write_concern_get_journal(wc))
        return error_fatal(err, EXIT_CONFIGURATION,
                           "target.address: journal=false would lose acknowledged writes; "
                           "leave it out");
    return 0;
}

static void set_limits(struct mongo_target *t, const struct config *c)
{
    int64_t socket_ms = config_int(c, "target.socket.timeout.ms");

    t->max_time_ms = config_int(c, "target.max_time_ms");
    t->grace_ms = t->max_time_ms + socket_ms;
    t->sharded = strcmp(config_string(c, "target.mongodb.type"), "sharding") == 0;
    t->database = xstrdup(config_string(c, "id"));
    mongoc_uri_set_option_as_int32(t->uri, MONGOC_URI_SOCKETTIMEOUTMS,
                                   (int32_t)MIN(t->grace_ms, INT32_MAX));
    mongoc_uri_set_option_as_int32(t->uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                   (int32_t)MIN(socket_ms, SELECTION_MS));
    mongoc_uri_set_option_as_int32(t->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECTION_MS);
}

/* Positions and documents of a secondary are old ones, whatever the address asks for. */
static void read_from_the_primary(mongoc_uri_t *uri)
{
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);

    mongoc_uri_set_read_prefs_t(uri, primary);
    mongoc_read_prefs_destroy(primary);
}

/* It would go out with commands that refuse one (ping, lists), and the primary's own state is
 * what counts. */
static void forget_read_concern(mongoc_uri_t *uri)
{
    mongoc_read_concern_t *none = mongoc_read_concern_new();

    mongoc_uri_set_read_concern(uri, none);
    mongoc_read_concern_destroy(none);
}

/* The driver's words may repeat a password, so it is asked about the address without one. */
static int refuse_address(const char *address, struct error *err)
{
    AUTO(free_charp) char *shown = config_address_redacted(address);
    bson_error_t why;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(shown, &why);

    if (!uri)
        return error_fatal(err, EXIT_CONFIGURATION, "target.address: %s", why.message);
    mongoc_uri_destroy(uri);
    return error_fatal(err, EXIT_CONFIGURATION,
                       "target.address: the driver does not take its user, its password, or an "
                       "option that holds one");
}

int mongo_target_new(struct mongo_target **ret, const struct config *c, const char *application,
                     struct error *err)
{
    AUTO(mongo_target_freep) struct mongo_target *t = xcalloc(1, sizeof(*t));
    const char *address = config_string(c, "target.address");
    mongoc_write_concern_t *majority;

    if (!*address)
        return error_fatal(err, EXIT_CONFIGURATION, "target.address is not set");
    t->uri = mongoc_uri_new(address);
    if (!t->uri)
        return refuse_address(address, err);
    if (check_write_concern(t->uri, err) < 0)
        return -1;
    set_limits(t, c);
    majority = mongoc_write_concern_copy(mongoc_uri_get_write_concern(t->uri));
    mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_uri_set_write_concern(t->uri, majority);
    mongoc_write_concern_destroy(majority);
    read_from_the_primary(t->uri);
    forget_read_concern(t->uri);
    mongoc_uri_set_appname(t->uri, application);
    *ret = TAKE(t);
    return 0;
}

struct mongo_target *mongo_target_beside(const struct mongo_target *t, const char *database)
{
    struct mongo_target *ret = xcalloc(1, sizeof(*ret));

    *ret = *t;
    ret->uri = mongoc_uri_copy(t->uri);
    ret->database = xstrdup(database);
    return ret;
}

void mongo_target_free(struct mongo_target *t)
{
    if (!t)
        return;
    if (t->uri)
        mongoc_uri_destroy(t->uri);
    free(t->database);
    free(t);
}

int mongo_target_client_new(mongoc_client_t **ret, const struct mongo_target *t, bool patient,
                            struct error *err)
{
    mongoc_uri_t *uri = mongoc_uri_copy(t->uri);
    mongoc_client_t *client;
    bson_error_t why = {0};

    if (patient)
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, INT32_MAX);
    client = mongoc_client_new_from_uri_with_error(uri, &why);
    mongoc_uri_destroy(uri);
    if (!client)
        return error_set(err, ERR_RETRY, "%s", why.message);
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    *ret = client;
    return 0;
}

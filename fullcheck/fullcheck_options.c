#include "fullcheck/fullcheck_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"

enum {
    THREADS = 16,
    THREADS_MAX = 256,
    SAMPLE_MAX = 1000000,
    SETTLE_MS = 30000,
    SETTLE_MAX = 86400, /* seconds */
};

#define DIFF_FILE "dynamo-full-check-diff"
#define OUTLINES "go|stop|only" /* in the order of the enum */

#define SETS(flag, option) .name = flag, .key = option

struct config_extra fullcheck_options_extras[] = {
    {SETS("id", "id"), .letter = 'i'},
    {SETS("logLevel", "log.level"), .letter = 'l'},
    {SETS("sourceAccessKeyID", "source.access_key_id"), .letter = 's'},
    {SETS("sourceSecretAccessKey", "source.secret_access_key")},
    {SETS("sourceSessionToken", "source.session_token")},
    {SETS("sourceRegion", "source.region")},
    {SETS("sourceEndpointUrl", "source.endpoint_url")},
    {SETS("qpsFull", "qps.full"), .wanted = "N"},
    {SETS("qpsFullBatchNum", "qps.full.batch_num"), .wanted = "N"},
    {SETS("targetAddress", "target.address"), .letter = 't', .scheme = "mongodb://"},
    {SETS("filterCollectionWhite", "filter.collection.white")},
    {SETS("filterCollectionBlack", "filter.collection.black")},
    {SETS("convertType", "convert.type"), .letter = 'c'},
    {.name = "diffOutputFile",
     .letter = 'd',
     .wanted = "FILE",
     .fallback = DIFF_FILE,
     .help = "Where the differences go, a line of JSON each."},
    {.name = "parallel",
     .letter = 'p',
     .wanted = "N",
     .fallback = "16",
     .help = "Threads that compare, 1 to 256."},
    {.name = "sample",
     .letter = 'e',
     .wanted = "N",
     .fallback = "0",
     .help = "Compare only so many items of each table, up to 1000000. 0: all."},
    {.name = "seed",
     .wanted = "N",
     .fallback = "a random one",
     .help = "The same seed takes the same sample."},
    {.name = "settle",
     .wanted = "SECONDS",
     .fallback = "30",
     .help = "A difference counts when it is still there after so many seconds, 0 to 86400, "
             "decimals allowed."},
    {.name = "outline",
     .wanted = "go|stop|only",
     .fallback = "go",
     .help = "Counts and the index of the primary key. go: look at them and go on. stop: don't "
             "check a table further whose outline differs. only: check nothing else."},
    {.name = "reverse",
     .form = CONFIG_SWITCH,
     .fallback = "on",
     .help = "Look for documents that DynamoDB has not."},
    {.name = "repair",
     .form = CONFIG_FLAG,
     .help = "Ask the producer to send differing items again, and look again."},
    {.name = "json", .form = CONFIG_FLAG, .help = "The summary as JSON on standard output."},
    {0},
};

static int read_seed(struct fullcheck_options *options, const struct config_extra *extras,
                     struct error *err)
{
    const char *value = config_extra_value(extras, "seed");

    options->seed_given = value != NULL;
    if (!value) {
        random_bytes(&options->seed, sizeof(options->seed));
        return 0;
    }
    errno = 0;
    options->seed = strtoull(value, NULL, 10);
    if (!*value || value[strspn(value, "0123456789")] || errno)
        return config_extra_refuse(extras, "seed", "0 to 18446744073709551615", err);
    return 0;
}

static int read_diff_file(struct fullcheck_options *options, const struct config_extra *extras,
                          struct error *err)
{
    const char *value = config_extra_value(extras, "diffOutputFile");

    options->diff_file = value ? value : DIFF_FILE;
    if (!*options->diff_file)
        return config_extra_refuse(extras, "diffOutputFile", "paths of files", err);
    return 0;
}

int fullcheck_options_read(struct fullcheck_options *ret, const struct config_extra *extras,
                           struct error *err)
{
    struct fullcheck_options options = {.settle_ms = SETTLE_MS};
    const char *reverse = config_extra_value(extras, "reverse");
    int64_t threads = THREADS;
    int outline = OUTLINE_GO;

    if (read_diff_file(&options, extras, err) < 0 || read_seed(&options, extras, err) < 0 ||
        config_extra_int(extras, "parallel", 1, THREADS_MAX, &threads, err) < 0 ||
        config_extra_int(extras, "sample", 0, SAMPLE_MAX, &options.sample, err) < 0 ||
        config_extra_ms(extras, "settle", SETTLE_MAX, &options.settle_ms, err) < 0 ||
        config_extra_choice(extras, "outline", OUTLINES, &outline, err) < 0)
        return -1;
    options.threads = (int)threads;
    options.outline = outline;
    options.reverse = !reverse || strcmp(reverse, "on") == 0;
    options.repair = config_extra_value(extras, "repair");
    options.json = config_extra_value(extras, "json");
    *ret = options;
    return 0;
}

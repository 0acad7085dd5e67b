/* tests/bench/floor_write.c - the write floor: bare libmongoc update commands of the same
 * documents.
 *
 *     floor_write uri=mongodb://... database=DB collection=C brokers=HOST:PORT from=TOPIC
 *                 header=segment count=N [batch=1000] [writers=4] [type=raw]
 *
 * The documents are loaded and converted first, each thread has those of its own partitions;
 * measured is the sending alone: one unordered command of upserts after another, write concern
 * majority, without any check of documents. */
#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdio.h>

#include "common/messages/event.h"
#include "consumer/bson_out.h"
#include "consumer/convert.h"
#include "tests/bench/bench_support.h"
#include "tests/bench/topic_load.h"

#define MAX_WRITERS 64
#define DOCUMENTS_CEILING ((size_t)2 << 30)
#define COMMAND_CEILING (48 << 20)

struct update { /* places in `documents` */
    size_t filter;
    size_t document;
    size_t end;
};

struct writer { /* of one thread */
    const char *uri;
    const char *database;
    const char *collection;
    int64_t batch;
    struct buf documents;
    struct update *updates;
    size_t count;
    int64_t bytes;
    pthread_t thread;
};

/* --- before the measuring --- */

/* pk, a string: what the canned source has. */
static const struct key_schema schema = {.hash = {(char *)"pk", 2, 'S'}};

static void add(struct writer *w, const struct converter *c, const struct loaded *l)
{
    struct update u = {.filter = w->documents.len};
    struct error err;
    struct event ev;

    if (event_decode(&ev, l->value, &err) < 0 ||
        convert_filter(&w->documents, c, ev.keys, &err) < 0)
        bench_fail("%s", err.message);
    u.document = w->documents.len;
    if (convert_document(&w->documents, c, ev.keys, ev.after, &err) < 0)
        bench_fail("%s", err.message);
    u.end = w->documents.len;
    w->updates[w->count++] = u;
}

static void prepare(struct writer *writers, int64_t n, const struct topic_load *load,
                    const struct converter *c)
{
    for (int64_t i = 0; i < n; i++) {
        buf_init(&writers[i].documents, DOCUMENTS_CEILING);
        writers[i].updates = xcalloc(load->count, sizeof(*writers[i].updates));
    }
    for (size_t i = 0; i < load->count; i++)
        add(&writers[load->messages[i].partition % n], c, &load->messages[i]);
}

/* --- the work --- */

static struct bytes part(const struct writer *w, size_t from, size_t to)
{
    return (struct bytes){w->documents.p + from, to - from};
}

static void embed(struct buf *out, struct bytes name, struct bytes document)
{
    bson_out_element(out, BSON_TYPE_DOCUMENT, name);
    buf_bytes(out, document);
}

static void command_build(struct buf *out, const struct writer *w, size_t from, size_t to)
{
    struct bson_out_index index = BSON_OUT_INDEX_INIT;
    size_t command = bson_out_begin(out), updates, one;

    bson_out_string(out, BYTES_LIT("update"), bytes_of(w->collection));
    bson_out_bool(out, BYTES_LIT("ordered"), false);
    updates = bson_out_array(out, BYTES_LIT("updates"));
    for (size_t i = from; i < to; i++) {
        const struct update *u = &w->updates[i];

        one = bson_out_document(out, bson_out_index_name(&index));
        embed(out, BYTES_LIT("q"), part(w, u->filter, u->document));
        embed(out, BYTES_LIT("u"), part(w, u->document, u->end));
        bson_out_bool(out, BYTES_LIT("upsert"), true);
        bson_out_end(out, one);
    }
    bson_out_end(out, updates);
    bson_out_end(out, command);
}

static void command_send(mongoc_client_t *client, struct writer *w, const struct buf *command,
                         const bson_t *options)
{
    bson_error_t error;
    bson_iter_t it;
    bson_t whole, reply;

    if (!bson_init_static(&whole, (const uint8_t *)command->p, command->len))
        bench_fail("a command of no BSON");
    if (!mongoc_client_write_command_with_opts(client, w->database, &whole, options, &reply,
                                               &error))
        bench_fail("update: %s", error.message);
    if (bson_iter_init_find(&it, &reply, "writeErrors"))
        bench_fail("update: a document was refused");
    w->bytes += (int64_t)command->len;
    bson_destroy(&reply);
}

static void *run(void *arg)
{
    struct writer *w = arg;
    mongoc_client_t *client = mongoc_client_new(w->uri);
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    bson_t options = BSON_INITIALIZER;
    struct buf command;

    if (!client)
        bench_fail("no connection string: %s", w->uri);
    mongoc_write_concern_set_wmajority(concern, 0);
    mongoc_write_concern_append(concern, &options);
    buf_init(&command, COMMAND_CEILING);
    for (size_t from = 0; from < w->count; from += (size_t)w->batch) {
        buf_reset(&command);
        command_build(&command, w, from, MIN(from + (size_t)w->batch, w->count));
        command_send(client, w, &command, &options);
    }
    buf_release(&command);
    bson_destroy(&options);
    mongoc_write_concern_destroy(concern);
    mongoc_client_destroy(client);
    return NULL;
}

static enum convert_type type_of(const char *name)
{
    if (strcmp(name, "raw") && strcmp(name, "change"))
        bench_fail("type: raw or change");
    return strcmp(name, "raw") ? CONVERT_CHANGE : CONVERT_RAW;
}

static void measure(struct writer *writers, int64_t n, size_t count)
{
    struct stopwatch start = stopwatch_start();
    int64_t bytes = 0;

    for (int64_t i = 0; i < n; i++)
        pthread_create(&writers[i].thread, NULL, run, &writers[i]);
    for (int64_t i = 0; i < n; i++) {
        pthread_join(writers[i].thread, NULL);
        bytes += writers[i].bytes;
    }
    bench_report("write", (int64_t)count, bytes, stopwatch_since(&start));
}

int main(int argc, char **argv)
{
    struct converter c = {.type = type_of(bench_argument(argc, argv, "type", "raw")),
                          .id_prefix = "pre",
                          .schema = &schema};
    int64_t n = bench_number(argc, argv, "writers", "4");
    struct writer writers[MAX_WRITERS] = {0};
    struct topic_load load;

    if (n < 1 || n > MAX_WRITERS)
        bench_fail("writers: 1 to %d", MAX_WRITERS);
    mongoc_init();
    load = topic_load(bench_argument(argc, argv, "brokers", NULL),
                      bench_argument(argc, argv, "from", NULL),
                      bench_argument(argc, argv, "header", NULL),
                      (size_t)bench_number(argc, argv, "count", NULL));
    prepare(writers, n, &load, &c);
    for (int64_t i = 0; i < n; i++) {
        writers[i].uri = bench_argument(argc, argv, "uri", NULL);
        writers[i].database = bench_argument(argc, argv, "database", NULL);
        writers[i].collection = bench_argument(argc, argv, "collection", NULL);
        writers[i].batch = bench_number(argc, argv, "batch", "1000");
    }
    measure(writers, n, load.count);
    return 0;
}

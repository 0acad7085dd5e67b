/* tests/bench/floor_find.c - the read floor: bare libmongoc reads the documents of many keys at
 * once, walks over them and throws them away.
 *
 *     floor_find uri=mongodb://... database=DB collection=C field=pk.S [batch=1000] [threads=4]
 *
 * The keys are read first; measured are the finds alone, each with one `$in` of `batch` keys. A
 * document is looked at only for its end. */
#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdio.h>

#include "common/base/bytes.h"
#include "tests/bench/bench_support.h"

#define MAX_THREADS 64
#define KEYS_CEILING ((size_t)1 << 30)

struct keys { /* of all documents, as filters */
    struct buf texts;
    size_t *ends;
    size_t count;
};

struct reader { /* of one thread */
    const char *uri;
    const char *database;
    const char *collection;
    const char *field;
    const struct keys *keys;
    size_t batch;
    size_t number; /* reads each threads-th batch from here */
    size_t threads;
    int64_t documents;
    int64_t bytes;
    pthread_t thread;
};

static mongoc_client_t *connect_to(const char *uri)
{
    mongoc_client_t *client = mongoc_client_new(uri);

    if (!client)
        bench_fail("no connection string: %s", uri);
    return client;
}

static void require_whole(mongoc_cursor_t *cursor)
{
    bson_error_t error;

    if (mongoc_cursor_error(cursor, &error))
        bench_fail("find: %s", error.message);
    mongoc_cursor_destroy(cursor);
}

/* --- before the measuring --- */

static void key_add(struct keys *k, const bson_t *document, const char *field)
{
    bson_iter_t it, value;
    uint32_t len;
    const char *text;

    if (!bson_iter_init(&it, document) || !bson_iter_find_descendant(&it, field, &value) ||
        !BSON_ITER_HOLDS_UTF8(&value))
        bench_fail("a document without a text in %s", field);
    text = bson_iter_utf8(&value, &len);
    buf_append(&k->texts, text, len);
    if ((k->count & (k->count + 1)) == 0) /* grows at each power of two */
        k->ends = xrealloc(k->ends, (k->count + 1) * 2 * sizeof(*k->ends));
    k->ends[k->count++] = k->texts.len;
}

static void keys_read(struct keys *ret, const struct reader *r)
{
    mongoc_client_t *client = connect_to(r->uri);
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, r->database, r->collection);
    bson_t *all = bson_new(), *options = BCON_NEW("projection", "{", r->field, "1", "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, all, options, NULL);
    const bson_t *document;

    buf_init(&ret->texts, KEYS_CEILING);
    while (mongoc_cursor_next(cursor, &document))
        key_add(ret, document, r->field);
    require_whole(cursor);
    bson_destroy(options);
    bson_destroy(all);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
}

/* --- the work --- */

static void filter_build(bson_t *filter, const struct reader *r, size_t from, size_t to)
{
    bson_t condition, values;
    char space[16];
    const char *name;

    bson_init(filter);
    BSON_APPEND_DOCUMENT_BEGIN(filter, r->field, &condition);
    BSON_APPEND_ARRAY_BEGIN(&condition, "$in", &values);
    for (size_t i = from; i < to; i++) {
        size_t start = i ? r->keys->ends[i - 1] : 0;
        size_t n = bson_uint32_to_string((uint32_t)(i - from), &name, space, sizeof(space));

        bson_append_utf8(&values, name, (int)n, r->keys->texts.p + start,
                         (int)(r->keys->ends[i] - start));
    }
    bson_append_array_end(&condition, &values);
    bson_append_document_end(filter, &condition);
}

static void walk(const bson_t *document)
{
    bson_iter_t it;

    if (!bson_iter_init(&it, document))
        bench_fail("a document of no BSON");
    while (bson_iter_next(&it))
        ;
}

static void find(struct reader *r, mongoc_collection_t *collection, size_t from, size_t to,
                 const bson_t *options)
{
    const bson_t *document;
    mongoc_cursor_t *cursor;
    bson_t filter;

    filter_build(&filter, r, from, to);
    cursor = mongoc_collection_find_with_opts(collection, &filter, options, NULL);
    while (mongoc_cursor_next(cursor, &document)) {
        walk(document);
        r->documents++;
        r->bytes += document->len;
    }
    require_whole(cursor);
    bson_destroy(&filter);
}

static void *run(void *arg)
{
    struct reader *r = arg;
    mongoc_client_t *client = connect_to(r->uri);
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, r->database, r->collection);
    /* As many as are asked for come in one answer, but for the server's limit in bytes. */
    bson_t *options = BCON_NEW("batchSize", BCON_INT64((int64_t)r->batch + 1));

    for (size_t from = r->number * r->batch; from < r->keys->count;
         from += r->threads * r->batch)
        find(r, collection, from, MIN(from + r->batch, r->keys->count), options);
    bson_destroy(options);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    return NULL;
}

static void measure(struct reader *readers, size_t threads)
{
    struct stopwatch start = stopwatch_start();
    int64_t documents = 0, bytes = 0;

    for (size_t i = 0; i < threads; i++)
        pthread_create(&readers[i].thread, NULL, run, &readers[i]);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(readers[i].thread, NULL);
        documents += readers[i].documents;
        bytes += readers[i].bytes;
    }
    if ((size_t)documents != readers[0].keys->count)
        bench_fail("%" PRId64 " documents of %zu keys", documents, readers[0].keys->count);
    bench_report("find", documents, bytes, stopwatch_since(&start));
}

int main(int argc, char **argv)
{
    int64_t threads = bench_number(argc, argv, "threads", "4");
    int64_t batch = bench_number(argc, argv, "batch", "1000");
    struct reader readers[MAX_THREADS];
    struct keys keys = {0};

    if (threads < 1 || threads > MAX_THREADS || batch < 1)
        bench_fail("threads: 1 to %d; batch: 1 or more", MAX_THREADS);
    mongoc_init();
    for (int64_t i = 0; i < threads; i++)
        readers[i] =
            (struct reader){.uri = bench_argument(argc, argv, "uri", NULL),
                            .database = bench_argument(argc, argv, "database", NULL),
                            .collection = bench_argument(argc, argv, "collection", NULL),
                            .field = bench_argument(argc, argv, "field", NULL),
                            .keys = &keys,
                            .batch = (size_t)batch,
                            .number = (size_t)i,
                            .threads = (size_t)threads};
    keys_read(&keys, &readers[0]);
    measure(readers, (size_t)threads);
    buf_release(&keys.texts);
    free(keys.ends);
    mongoc_cleanup();
    return 0;
}

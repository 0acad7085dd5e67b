#include "common/config/config_options.h"

enum {
    P = CONFIG_PRODUCER,
    C = CONFIG_CONSUMER,
    F = CONFIG_FULLCHECK,
    S = CONFIG_STATUS,
    ALL = P | C | F | S,
};

#define MIB (INT64_C(1024) * 1024)
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

#define TEXT(key, readers, value) .name = key, .programs = readers, .fallback = value
#define NUMBER(key, readers, value, from, to)                                                  \
    TEXT(key, readers, value), .type = CONFIG_NUMBER, .min = from, .max = to
#define BOOLEAN(key, readers, value) TEXT(key, readers, value), .type = CONFIG_BOOLEAN
#define CHOICE(key, readers, value, values)                                                    \
    TEXT(key, readers, value), .type = CONFIG_CHOICE, .choices = values
#define LIST(key, readers) TEXT(key, readers, ""), .type = CONFIG_LIST
#define MAP(key, readers) TEXT(key, readers, ""), .type = CONFIG_MAP

#define DATABASE_NAME "^[^]/\\\\. \"$*<>:|?[]{1,63}$"
#define DATABASE_WORDS                                                                         \
    "a MongoDB database name: 1 to 63 bytes, none of / \\ . \" $ * < > : | ? [ ]"

const struct config_option config_options[] = {
    {.section = "General",
     TEXT("id", ALL, "dynamo-shake"),
     .pattern = DATABASE_NAME,
     .allowed = DATABASE_WORDS,
     .help = "Name of this replication: the database in MongoDB that the tables go to."},
    {CHOICE("sync_mode", P, "all", "all|full|incr"),
     .help =
         "all: a snapshot of each table, and every change since it began. full: the snapshot "
         "alone, then the producer ends. incr: changes alone, without the rows that were "
         "there before."},
    {TEXT("instance.id", P | C, ""), .derived = "host name and a random part",
     .pattern = "^[A-Za-z0-9._-]{0,200}$", .allowed = "letters, digits, . _ and -, at most 200",
     .help = "Name of this process. When set, it makes the process a static member of its "
             "Kafka group. No two producers and no two consumers may have the same name."},
    {NUMBER("start.timeout", ALL, "60", 1, 86400),
     .help =
         "Seconds. At the start: a program ends with exit code 69 when DynamoDB, Kafka or "
         "MongoDB is unreachable for so long; producer and consumer wait out later outages. "
         "fullcheck gives up on any outage after this time, with exit code 2. With sync_mode "
         "= full the producer gives up on a table that makes no progress for so long."},
    {NUMBER("memory.bytes", P | C | F, "67108864", 16 * MIB, 65536 * MIB),
     .help = "Bytes that may be in flight: answers of the source in the producer, queued "
             "messages in the consumer, items and documents in fullcheck."},

    {CHOICE("errors.tolerance", P | C, "all", "all|none"),
     .help =
         "What happens to a record that can't be sent or applied. all: it goes to the dead "
         "letters, and the others go on. none: the producer halts its table, the consumer its "
         "partition, before anything is left out. Both look at it again by themselves."},

    {.section = "Log, metrics",
     TEXT("log.file", ALL, ""),
     .help = "File to append the log to. Empty: standard error."},
    {CHOICE("log.level", ALL, "info", "debug|info|warn|error"),
     .help = "The lowest level that is written."},
    {CHOICE("log.format", ALL, "text", "text|json"),
     .help = "text: key=value pairs. json: one object per line."},
    {NUMBER("http.port", P | C, "0", 0, 65535),
     .help = "Port of /metrics, /healthz, /readyz and /livez. 0: none. On one machine each "
             "program needs a port of its own: --set http.port=..."},
    {TEXT("http.listen", P | C, "127.0.0.1"), .pattern = "^[0-9a-fA-F.:]+$",
     .allowed = "an IPv4 or IPv6 address", .help = "Address that http.port listens on."},

    {.section = "Source: DynamoDB",
     TEXT("source.access_key_id", P | F, ""),
     .help =
         "Access key id. Empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the keys of "
         "the shared profile (AWS_PROFILE, ~/.aws). Roles, web identity, container and "
         "instance credentials are not supported."},
    {TEXT("source.secret_access_key", P | F, ""), .secrecy = CONFIG_SECRET,
     .help = "Secret of the access key."},
    {TEXT("source.session_token", P | F, ""), .secrecy = CONFIG_SECRET,
     .help = "Session token of temporary credentials."},
    {TEXT("source.region", P | F, ""), .pattern = "^[a-z0-9-]{0,64}$",
     .allowed = "a region such as eu-central-1",
     .help = "Region. Empty: AWS_REGION, AWS_DEFAULT_REGION or the profile's."},
    {TEXT("source.endpoint_url", P | F, ""), .pattern = "^(https?://[^@[:space:]]+)?$",
     .allowed = "http://HOST:PORT or https://HOST:PORT, without a user or password",
     .help = "Endpoint of DynamoDB and its Streams. Empty: AWS_ENDPOINT_URL_DYNAMODB and "
             "AWS_ENDPOINT_URL_DYNAMODB_STREAMS, AWS_ENDPOINT_URL, else the region's."},
    {CHOICE("source.gzip", P | F, "auto", "auto|on|off"),
     .help = "Ask DynamoDB for compressed answers. auto: unless the endpoint is this machine."},
    {BOOLEAN("stream.enable", P, "true"),
     .help = "Enable the stream of a table that has none, with NEW_AND_OLD_IMAGES, which "
             "event.before needs. false: such a table is halted, and the log names it."},
    {LIST("filter.collection.white", ALL),
     .help = "Only these tables, with ; between names. Empty: all."},
    {LIST("filter.collection.black", ALL),
     .help = "All tables but these. At most one of white and black may be given."},
    {NUMBER("discovery.interval.ms", P, "10000", 100, DAY_MS),
     .help = "How often to look for new tables, in milliseconds."},

    {.section = "Snapshot",
     NUMBER("full.concurrency", P, "4", 1, 256),
     .help = "Tables that one producer scans at the same time."},
    {NUMBER("full.read.concurrency", P, "4", 1, 1024),
     .help = "Segments in which one table is scanned. A running snapshot keeps the number it "
             "began with."},
    {NUMBER("qps.full", P | F, "0", 0, 1000000),
     .help = "Requests per second for items (Scan, BatchGetItem), all tables of the program "
             "together. 0: unlimited (NimoShake: 1000)."},
    {NUMBER("qps.full.batch_num", P | F, "0", 0, 1000000),
     .help = "Items asked for in one Scan request. 0: whole pages of 1 MB, which cost the "
             "source least (NimoShake: 128)."},

    {NUMBER("full.capacity.percent", P, "50", 0, 100),
     .help = "The percentage of a table's provisioned read capacity that its scan takes. 0: as "
             "much as it gets. Tables with on-demand capacity are not paced."},

    {.section = "Changes",
     NUMBER("qps.incr", P, "0", 0, 1000000),
     .help = "GetRecords requests per second, all tables of the program together. 0: unlimited "
             "(NimoShake: 1000)."},
    {NUMBER("qps.incr.batch_num", P, "0", 0, 1000),
     .help = "Records asked for in one GetRecords request. 0: as many as the service gives, "
             "1000 or 1 MB (NimoShake: 128)."},
    {NUMBER("shard.poll.ms", P, "20", 1, 60000),
     .help = "Pause between two reads of a shard while records flow, in milliseconds."},
    {NUMBER("shard.idle.poll.ms", P, "200", 1, 60000),
     .help = "Pause between two reads of an open shard that has nothing new, in milliseconds. "
             "Reads "
             "of streams are billed: 200 means 13 million requests per shard and month, 1000 "
             "means 2.6 million."},
    {NUMBER("shard.idle.poll.max.ms", P, "1000", 1, 60000),
     .help = "The longest such pause: shard.idle.poll.ms grows to this when a shard has had "
             "nothing "
             "new for minutes."},
    {BOOLEAN("event.before", P, "false"),
     .help = "Add the item as it was before the change to each event, if the stream has it."},
    {CHOICE("on_gap", P | C, "resnapshot", "resnapshot|fail"),
     .help =
         "What happens to a table whose changes or topic were lost for good (a stream read too "
         "late, disabled or replaced, a table or a topic made anew). resnapshot: a new "
         "generation begins by itself. fail: the table is halted in the phase gap until "
         "dynaferry-producer --resume TABLE. Default: resnapshot, or fail if sync_mode is "
         "incr, "
         "which can't bring what was lost."},
    {NUMBER("source.doubt.ms", P, "60000", 100, 3600000),
     .help = "How long DynamoDB must say that a table or a shard does not exist before it is "
             "believed, in milliseconds. Its answers may lag behind."},
    {NUMBER("health.limit.ms", P, "180000", 1000, DAY_MS),
     .help =
         "/healthz answers 503 and names a table, or another part of the producer, that made "
         "no progress for this long although there was something to do."},
    {NUMBER("gone.forget.ms", P, "3600000", 1000, 7 * DAY_MS),
     .help =
         "A deleted table that DynamoDB has not listed for this long is forgotten: its records "
         "are removed from the ledger. If it comes back later, it is a new table."},
    {NUMBER("threads", P, "8", 1, 256), .help = "Threads that read segments and shards."},
    {NUMBER("commit.interval.ms", P, "0", 0, 5000),
     .help =
         "Milliseconds between two commits. 0: chosen so that commits take about a fifth of "
         "the time; it is 250 ms at most, and 250 ms under load. A record that comes after "
         "a pause of this length is committed at once."},
    {NUMBER("commit.stall.ms", P, "5000", 200, 6000),
     .help =
         "A transaction is given up when Kafka has taken none of its records for this long, "
         "in milliseconds. Its tables then wait and try again, apart from other tables."},

    {.section = "Kafka",
     TEXT("kafka.bootstrap.servers", ALL, "127.0.0.1:9092"),
     .pattern = "^[^[:space:]]+$",
     .allowed = "host:port, with commas between several",
     .help =
         "Brokers to connect to first. Every other kafka.KEY is handed to librdkafka as KEY: "
         "kafka.security.protocol, kafka.sasl.mechanism, kafka.ssl.ca.location, "
         "kafka.compression.codec ..."},
    {TEXT("topic.prefix", ALL, "dynaferry"), .pattern = "^[A-Za-z0-9_-]{1,100}$",
     .allowed = "1 to 100 letters, digits, _ and - (no dots)",
     .help = "Topics are PREFIX.TABLE, PREFIX-ledger, PREFIX-signal and PREFIX-dead-letter."},
    {MAP("map.topic", P),
     .help = "Another name for a table in its topic's name: table=name;table=name."},
    {NUMBER("topic.partitions", P, "12", 1, 1000),
     .help =
         "Number of partitions of a new data topic. A topic that dynaferry already uses keeps "
         "its number; one made by hand needs this number. When the number changes later, "
         "the table is halted, since items would move to other partitions."},
    {NUMBER("topic.replication.factor", P | C, "-1", 1, 1000), .also = "-1",
     .help = "Replicas of a new topic. -1: the broker's default."},
    {NUMBER("topic.retention.ms", P | C, "604800000", 60000, INT64_MAX / 2), .also = "-1",
     .help =
         "How long a new data topic keeps its records; -1: forever. Only within this time can "
         "a new target be built from Kafka alone. The consumer warns by the topic's own "
         "setting, and by this one where the brokers do not tell it."},
    {NUMBER("topic.max.message.bytes", P | C, "8388608", 69632, 1000 * MIB),
     .derived = "8388608, or 16777216 with event.before = true",
     .help = "Largest message of a data topic. An item of 400 KB can become 3.7 MB of JSON."},
    {NUMBER("ledger.partitions", P | C, "16", 1, 1000),
     .help =
         "Number of partitions of the ledger topic: at most so many producers can share the "
         "work. It is fixed when the topic is created; another value is refused at the "
         "start."},

    {.section = "Target: MongoDB",
     TEXT("target.address", ALL, ""),
     .secrecy = CONFIG_ADDRESS,
     .required_by = C | F,
     .pattern = "^(mongodb(\\+srv)?://.+)?$",
     .allowed = "a connection string that begins with mongodb:// or mongodb+srv://",
     .help = "Connection string. User and password are percent-encoded in it (@ is %40, : is "
             "%3A, / is %2F). Write concern is always majority; one that asks for less is "
             "refused."},
    {CHOICE("target.mongodb.type", ALL, "replica", "|replica|sharding"),
     .help = "sharding: collections are sharded by the hashed partition key."},
    {CHOICE("target.mongodb.exist", C, "", "|drop|rename"),
     .help = "What to do when a table's collection exists before its first snapshot: drop it, "
             "rename it to TABLE:before:GENERATION, or (empty) write into it."},
    {CHOICE("target.id", C | F, "objectid", "objectid|key"),
     .derived = "objectid, or key with target.mongodb.type = sharding",
     .help = "objectid: _id is an ObjectId and the primary key has a unique index. key: _id is "
             "the primary key, without a second index."},
    {MAP("map.collection", C | F),
     .help = "Another name for a table's collection: table=name;table=name."},
    {TEXT("consumer.group", C | S, ""),
     .derived = "topic.prefix, id and a hash of the target's hosts",
     .pattern = "^[A-Za-z0-9._-]{0,249}$", .allowed = "letters, digits, . _ and -, at most 249",
     .help = "Kafka group of the consumers of one target. Two targets must never share one."},
    {NUMBER("target.writers", C, "4", 1, 256),
     .help =
         "Threads that write, for all partitions together. Each partition is written by one "
         "thread at a time."},
    {NUMBER("target.batch.count", C, "1000", 1, 100000),
     .help = "Most documents in one write command."},
    {NUMBER("target.batch.bytes", C, "8388608", 1024, 12 * MIB),
     .help = "Most bytes in one write command."},
    {NUMBER("target.batch.ms", C, "20", 0, 10000),
     .help =
         "A smaller batch is written when its oldest event has waited so many milliseconds."},
    {NUMBER("target.max_time_ms", ALL, "10000", 100, 600000),
     .help =
         "maxTimeMS of each command. After a write of unknown outcome the consumer waits for "
         "this time and target.socket.timeout.ms together."},
    {NUMBER("target.socket.timeout.ms", ALL, "10000", 100, 600000),
     .help = "How long to wait for an answer of MongoDB, in milliseconds."},
    {BOOLEAN("full.enable_index.primary", C | F, "true"),
     .help = "With target.id = objectid: create the unique index on the primary key and, for a "
             "table with a sort key, an index on the partition key."},
    {BOOLEAN("full.enable_index.user", C, "true"),
     .help = "Create a plain index, dynaferry_index_<name>, for each secondary index of the "
             "table. Changes are applied meanwhile."},
    {TEXT("checkpoint.db", P | C, ""), .derived = "id and -checkpoint",
     .pattern = "^[^]/\\\\. \"$*<>:|?[]{0,63}$", .allowed = DATABASE_WORDS " (or empty)",
     .help =
         "A database of the target that shows how far each shard is applied, as NimoShake's "
         "checkpoints do, for scripts. Empty: none. --take-over-nimoshake finds NimoShake's "
         "own there."},

    {.section = "Conversion",
     CHOICE("convert.type", C | F, "raw", "raw|change|mchange"),
     .help = "raw: values keep DynamoDB's type names, {S: ...}. change: plain values. mchange: "
             "change with convert.number = double."},
    {CHOICE("convert.number", C | F, "exact", "exact|double"),
     .help = "With convert.type = change. exact: no digit is lost (int32, int64, Decimal128, "
             "else a string). double: as NimoShake, 15 to 17 digits. Keys are always exact."},
    {TEXT("convert._id", C | F, "pre"), .pattern = "^[^$.][^.]{0,99}$",
     .allowed = "1 to 100 characters, no dot, no $ at the start",
     .help = "Prefix for the name of an attribute called _id."},
    {0},
};

#define FIXED "dynaferry sizes this by itself"

const struct config_replaced config_options_replaced[] = {
    {"conf.version", NULL, "the file has no version"},
    {"log.buffer", NULL, "each line is written at once"},
    {"system_profile", NULL, "use perf or gdb on the process"},
    {"http_profile", NULL, "use http.port"},
    {"full_sync.http_port", NULL, "use http.port"},
    {"incr_sync.http_port", NULL, "use http.port"},
    {"incr_sync_parallel", NULL, "changes are always read while the snapshot runs"},
    {"source.session.max_retries", NULL, "requests are tried again with growing delays"},
    {"source.session.timeout", NULL, "requests have fixed time limits"},
    {"target.type", "|mongodb", "the target is always MongoDB"},
    {"target.db.exist", "", "use target.mongodb.exist"},
    {"sync_schema_only", "|false",
     "the schema alone can't be synced: use filter.collection.white with empty tables, or "
     "create the indexes by hand"},
    {"full.document.concurrency", NULL, "use target.writers"},
    {"full.document.parser", NULL, FIXED},
    {"full.document.write.batch", NULL, "use target.batch.count"},
    {"full.read.filter_expression", "",
     "items can't be filtered, since a change does not show whether the filter takes its item; "
     "filter when reading the target, or take whole tables with filter.collection.white"},
    {"full.read.filter_attributevalues", "",
     "items can't be filtered; take whole tables with filter.collection.white"},
    {"full.executor.insert_on_dup_update", NULL, "writes are always upserts"},
    {"increase.concurrency", NULL, "use threads"},
    {"increase.executor.insert_on_dup_update", NULL, "writes are always upserts"},
    {"increase.executor.upsert", NULL, "writes are always upserts"},
    {"checkpoint.type", "|mongodb",
     "positions are kept in the ledger topic and in the target, never in a file"},
    {"checkpoint.address", "",
     "positions are kept in the ledger topic and in the target database: leave it out, and "
     "give it "
     "once to dynaferry-producer --take-over-nimoshake"},
    {0},
};

#define EXACTLY_ONCE "exactly once depends on it, dynaferry sets it"

const struct config_reserved config_options_reserved[] = {
    {"metadata.broker.list", "use kafka.bootstrap.servers"},
    {"group.id", "use consumer.group"},
    {"group.instance.id", "use instance.id"},
    {"message.max.bytes", "use topic.max.message.bytes"},
    {"transactional.id", EXACTLY_ONCE},
    {"transaction.timeout.ms", EXACTLY_ONCE},
    {"message.timeout.ms", EXACTLY_ONCE},
    {"delivery.timeout.ms", EXACTLY_ONCE},
    {"enable.idempotence", EXACTLY_ONCE},
    {"acks", EXACTLY_ONCE},
    {"request.required.acks", EXACTLY_ONCE},
    {"isolation.level", EXACTLY_ONCE},
    {"partitioner", "the order of changes depends on it, dynaferry sets it"},
    {"allow.auto.create.topics", "topics are created with the right settings, never by chance"},
    {"auto.create.topics.enable",
     "topics are created with the right settings, never by chance"},
    {"auto.offset.reset", "where reading starts is kept in the target"},
    {"auto.commit.enable", "offsets are committed after the target has acknowledged"},
    {"enable.auto.commit", "offsets are committed after the target has acknowledged"},
    {"enable.auto.offset.store", "offsets are committed after the target has acknowledged"},
    {"enable.partition.eof", "dynaferry sets it where it needs it"},
    {"partition.assignment.strategy", "dynaferry sets it"},
    {"session.timeout.ms", "the time limits of writes depend on it, dynaferry sets it"},
    {0},
};

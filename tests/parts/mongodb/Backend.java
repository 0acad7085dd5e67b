import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.AbstractMongoBackend;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.exception.MongoServerException;
import de.bwaldvogel.mongo.wire.BsonConstants;
import de.bwaldvogel.mongo.wire.MongoWireProtocolHandler;
import de.bwaldvogel.mongo.wire.message.MongoQuery;
import io.netty.channel.Channel;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;

/** Answers commands one at a time and commits the store before each answer.
 *
 * One lock over everything: what a client was told is on disk, no command sees half of another, and an
 * answer is a copy, so that a later write can't change it while it is being sent. */
final class Backend extends AbstractMongoBackend {
    private static final int WIRE_VERSION = 9;
    private static final int MAX_WRITE_BATCH = 100_000;
    /* Unless a client says otherwise: MongoDB's own number, and one instead of its 16 MB. */
    private static final int FIRST_BATCH = 101;
    private static final int LATER_BATCH = 1000;
    private static final Set<String> READS = Set.of("find", "getmore", "aggregate", "findandmodify", "distinct");

    private final ReentrantLock lock = new ReentrantLock();
    private final Store store;
    private final Sharding sharding = new Sharding(this);

    Backend(String file) {
        store = new Store(file);
        for (String name : store.databases()) {
            resolveDatabase(name);
        }
    }

    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
        return new Database(name, store, sharding, getCursorRegistry());
    }

    @Override
    public Document handleCommand(Channel channel, String database, String command, Document query) {
        lock.lock();
        try {
            Document reply = dispatch(channel, database, command, query);
            return READS.contains(command.toLowerCase()) ? reply.cloneDeeply() : reply;
        } catch (MongoServerError e) {
            throw e;
        } catch (MongoServerException e) {
            /* The library leaves some errors without a code; MongoDB never does. */
            throw new MongoServerError(8, "UnknownError", e.getMessageWithoutErrorCode());
        } finally {
            try {
                store.commit();
            } finally {
                lock.unlock();
            }
        }
    }

    @Override
    public QueryResult handleQuery(MongoQuery query) {
        lock.lock();
        try {
            QueryResult result = super.handleQuery(query);
            List<Document> copies = new ArrayList<>();
            result.forEach(document -> copies.add(document.cloneDeeply()));
            return new QueryResult(copies, result.getCursorId());
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void handleClose(Channel channel) {
        lock.lock();
        try {
            super.handleClose(channel);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        lock.lock();
        try {
            super.close();
            store.close();
        } finally {
            lock.unlock();
        }
    }

    private Document dispatch(Channel channel, String database, String command, Document query) {
        switch (command.toLowerCase()) {
        case "find":
            if (!Utils.isTrue(query.get("singleBatch"))) {
                query.putIfAbsent("batchSize", FIRST_BATCH);
            }
            break;
        case "getmore":
            query.putIfAbsent("batchSize", LATER_BATCH);
            break;
        case "hello":
        case "ismaster":
            return hello();
        case "endsessions":
            return ok(new Document());
        case "listdatabases":
            return listDatabases();
        case "enablesharding":
            return sharding.enable((String) query.get(command));
        case "shardcollection":
            return sharding.shard((String) query.get(command), (Document) query.get("key"),
                                  Utils.isTrue(query.get("unique")));
        case "renamecollection":
            requireRenamable((String) query.get(command), (String) query.get("to"));
            break;
        default:
            break;
        }
        return super.handleCommand(channel, database, command, query);
    }

    private Document hello() {
        return ok(new Document("helloOk", true)
                      .append("ismaster", true)
                      .append("isWritablePrimary", true)
                      .append("maxBsonObjectSize", BsonConstants.MAX_BSON_OBJECT_SIZE)
                      .append("maxMessageSizeBytes", MongoWireProtocolHandler.MAX_MESSAGE_SIZE_BYTES)
                      .append("maxWriteBatchSize", MAX_WRITE_BATCH)
                      .append("localTime", Instant.now())
                      .append("minWireVersion", 0)
                      .append("maxWireVersion", WIRE_VERSION)
                      .append("readOnly", false));
    }

    private Document listDatabases() {
        List<Document> databases = new ArrayList<>();
        for (String name : new TreeSet<>(listDatabaseNames())) {
            if (store.hasCollections(name)) {
                databases.add(new Document("name", name).append("empty", false));
            }
        }
        return ok(new Document("databases", databases));
    }

    private void requireRenamable(String from, String to) {
        String database = Utils.getDatabaseNameFromFullName(from);

        if (!database.equals(Utils.getDatabaseNameFromFullName(to))) {
            throw new MongoServerError(72, "InvalidOptions", "this server renames within one database only");
        }
        String name = Utils.getCollectionNameFromFullName(from);
        if (resolveDatabase(database).resolveCollection(name, false) == null) {
            throw new MongoServerError(26, "NamespaceNotFound", "Source collection " + from + " does not exist");
        }
    }

    static Document ok(Document reply) {
        Utils.markOkay(reply);
        return reply;
    }
}

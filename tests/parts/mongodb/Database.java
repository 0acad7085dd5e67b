import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.AbstractMongoDatabase;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.DatabaseResolver;
import de.bwaldvogel.mongo.backend.DefaultQueryMatcher;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.Oplog;
import io.netty.channel.Channel;
import java.util.ArrayList;
import java.util.List;
import org.h2.mvstore.MVMap;

/** A database: which commands it answers itself, and where its collections are stored.
 *
 * Called under the backend's lock only. */
final class Database extends AbstractMongoDatabase<Object> {
    private static final String INDEXES = "system.indexes";

    private final Store store;
    private final Sharding sharding;

    Database(String name, Store store, Sharding sharding, CursorRegistry cursors) {
        super(name, cursors);
        this.store = store;
        this.sharding = sharding;
        initializeNamespacesAndIndexes();
    }

    @Override
    public Document handleCommand(Channel channel, String command, Document query, DatabaseResolver resolver,
                                  Oplog oplog) {
        switch (command) {
        case "insert":
            return Writes.insert(writable(query, command), query);
        case "update":
            return Writes.update(writable(query, command), query, sharding);
        case "delete":
            return Writes.delete(writable(query, command), query);
        case "listCollections":
            return listCollections(super.handleCommand(channel, command, query, resolver, oplog), query);
        case "drop":
            if (resolveCollection((String) query.get(command), false) == null) {
                throw new MongoServerError(26, "NamespaceNotFound", "ns not found");
            }
            sharding.forget(getFullCollectionNamespace((String) query.get(command)));
            break;
        case "dropIndexes":
            return dropIndexes((String) query.get(command), query.get("index"));
        default:
            break;
        }
        return super.handleCommand(channel, command, query, resolver, oplog);
    }

    private Collection writable(Document query, String command) {
        String name = (String) query.get(command);

        if (name.startsWith("system.")) {
            throw new MongoServerError(73, "InvalidNamespace", "cannot write to " + getFullCollectionNamespace(name));
        }
        return open(name);
    }

    Collection open(String name) {
        return (Collection) resolveOrCreateCollection(name);
    }

    /* The library's answer has neither UUIDs nor a filter. */
    private Document listCollections(Document reply, Document query) {
        Document cursor = (Document) reply.get("cursor");
        Document filter = (Document) query.getOrDefault("filter", new Document());
        List<Document> matching = new ArrayList<>();

        for (Object entry : (List<?>) cursor.get("firstBatch")) {
            Document description = (Document) entry;
            String namespace = getFullCollectionNamespace((String) description.get("name"));
            ((Document) description.get("info")).put("uuid", store.uuid(namespace));
            if (new DefaultQueryMatcher().matches(description, filter)) {
                matching.add(description);
            }
        }
        cursor.put("firstBatch", matching);
        return reply;
    }

    /* The library forgets the descriptions of indexes of that name in every collection. */
    private Document dropIndexes(String name, Object which) {
        MongoCollection<Object> collection = resolveCollection(name, false);

        if (collection == null) {
            throw new MongoServerError(26, "NamespaceNotFound", "ns not found " + getFullCollectionNamespace(name));
        }
        List<Document> dropped = new ArrayList<>();
        for (Document index : descriptions(name)) {
            boolean primary = "_id_".equals(index.get("name"));
            if (index.get("name").equals(which) || index.get("key").equals(which) || "*".equals(which) && !primary) {
                dropped.add(index);
            }
        }
        if (dropped.isEmpty() && !"*".equals(which)) {
            throw new MongoServerError(27, "IndexNotFound", "index not found with name [" + which + "]");
        }
        for (Document index : dropped) {
            dropIndex(collection, (String) index.get("name"));
            getOrCreateIndexesCollection().deleteDocuments(index, -1);
        }
        return Backend.ok(new Document());
    }

    private List<Document> descriptions(String collection) {
        List<Document> found = new ArrayList<>();
        MongoCollection<Object> descriptions = indexes.get();

        if (descriptions != null) {
            String namespace = getFullCollectionNamespace(collection);
            descriptions.handleQuery(new Document("ns", namespace)).forEach(found::add);
        }
        return found;
    }

    @Override
    protected MongoCollection<Object> openOrCreateCollection(String name, CollectionOptions options) {
        return new Collection(this, name, options, store.documents(getFullCollectionNamespace(name)), cursorRegistry);
    }

    @Override
    protected Index<Object> openOrCreateUniqueIndex(String collection, String name, List<IndexKey> keys,
                                                    boolean sparse) {
        MVMap<String, String> entries = store.index(getFullCollectionNamespace(collection), name);
        boolean finished = descriptions(collection).stream().anyMatch(index -> name.equals(index.get("name")));

        if (!finished) {
            entries.clear(); /* what a refused build left must not count as built */
        }
        return new UniqueIndex(entries, name, keys, sparse);
    }

    @Override
    protected void dropIndex(MongoCollection<Object> collection, String name) {
        boolean unique = collection.getIndexes().stream().anyMatch(
            index -> index.getName().equals(name) && index.isUnique());

        super.dropIndex(collection, name);
        if (unique) {
            store.dropIndex(collection.getFullName(), name);
        }
    }

    @Override
    public void dropCollection(String name, Oplog oplog) {
        super.dropCollection(name, oplog);
        store.drop(getFullCollectionNamespace(name));
        if (name.equals(INDEXES)) {
            indexes.set(null);
        }
    }

    @Override
    public void moveCollection(MongoDatabase from, MongoCollection<?> collection, String newName) {
        String oldNamespace = collection.getFullName();

        store.rename(oldNamespace, getFullCollectionNamespace(newName));
        super.moveCollection(from, collection, newName);
        sharding.rename(oldNamespace, getFullCollectionNamespace(newName));
    }

    @Override
    protected long getStorageSize() {
        return store.fileSize();
    }

    @Override
    protected long getFileSize() {
        return store.fileSize();
    }
}

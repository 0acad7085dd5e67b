import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;

/** Records what a sharded cluster would be told, where a cluster keeps it: config.databases and
 * config.collections. Refuses what MongoDB documents as refused; no data is spread anywhere. */
final class Sharding {
    private final Backend backend;

    Sharding(Backend backend) {
        this.backend = backend;
    }

    Document enable(String database) {
        put("databases", database, new Document("partitioned", true));
        return Backend.ok(new Document());
    }

    Document shard(String namespace, Document key, boolean unique) {
        if (find("databases", Utils.getDatabaseNameFromFullName(namespace)) == null) {
            throw new MongoServerError(20, "IllegalOperation",
                                       "sharding not enabled for db " + Utils.getDatabaseNameFromFullName(namespace));
        }
        Document present = find("collections", namespace);
        if (present != null && !present.get("key").equals(key)) {
            throw new MongoServerError(23, "AlreadyInitialized",
                                       "sharding already enabled for collection " + namespace);
        }
        requireCompatibleIndexes(collection(namespace), key);
        put("collections", namespace, new Document("key", key).append("unique", unique));
        return Backend.ok(new Document("collectionsharded", namespace));
    }

    private static void requireCompatibleIndexes(MongoCollection<?> collection, Document key) {
        for (Index<?> index : collection.getIndexes()) {
            Document fields = (Document) index.toIndexDescription().get("key");
            boolean id = fields.keySet().iterator().next().equals("_id");
            if (index.isUnique() && !id && !startsWith(fields, key)) {
                throw new MongoServerError(72, "InvalidOptions",
                                           "can't shard collection '" + collection.getFullName() + "' with unique index on "
                                               + fields + " and proposed shard key " + key
                                               + ". Uniqueness can't be maintained unless shard key is a prefix");
            }
        }
    }

    private static boolean startsWith(Document fields, Document key) {
        Object[] names = fields.keySet().toArray();
        int i = 0;

        for (String name : key.keySet()) {
            if ("hashed".equals(key.get(name)) || i >= names.length || !names[i++].equals(name)) {
                return false;
            }
        }
        return true;
    }

    /* null if it is not sharded */
    Document keyOf(String namespace) {
        Document record = namespace.startsWith("config.") ? null : find("collections", namespace);

        return record == null ? null : (Document) record.get("key");
    }

    /* MongoDB finds the shard of an upsert by the filter alone. */
    static void requireKey(Document key, Document filter) {
        if (key != null && !filter.keySet().containsAll(key.keySet())) {
            throw new MongoServerError(61, "ShardKeyNotFound",
                                       "Failed to target upsert by query :: could not extract exact shard key");
        }
    }

    void forget(String namespace) {
        if (find("collections", namespace) != null) {
            config("collections").deleteDocuments(new Document("_id", namespace), 1);
        }
    }

    void rename(String from, String to) {
        Document record = find("collections", from);

        if (record != null) {
            Document moved = record.cloneDeeply();
            moved.remove("_id");
            put("collections", to, moved);
            forget(from);
        }
    }

    private Document find(String kind, String id) {
        MongoDatabase database = backend.resolveDatabase("config");
        Collection records = (Collection) database.resolveCollection(kind, false);

        return records == null ? null : records.first(new Document("_id", id));
    }

    private void put(String kind, String id, Document record) {
        config(kind).replace(new Document("_id", id), record, true);
    }

    private Collection config(String kind) {
        return collection("config." + kind);
    }

    private Collection collection(String namespace) {
        MongoDatabase database = backend.resolveDatabase(Utils.getDatabaseNameFromFullName(namespace));

        return ((Database) database).open(Utils.getCollectionNameFromFullName(namespace));
    }
}

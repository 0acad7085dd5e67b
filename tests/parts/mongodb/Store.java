import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.type.StringDataType;

/** Keeps collections and indexes in one H2 MVStore, named by the collection's UUID.
 *
 * The catalog alone maps a namespace to its UUID, so that a rename keeps the UUID and the data, and a
 * collection created again under an old name gets a new UUID and starts empty. */
final class Store {
    private static final String SYSTEM = ".system.";

    private final MVStore store;
    private final MVMap<String, String> catalog;

    Store(String file) {
        MVStore.Builder builder = new MVStore.Builder().autoCommitDisabled();

        store = (file == null ? builder : builder.fileName(file)).open();
        catalog = store.openMap("catalog");
    }

    Set<String> databases() {
        Set<String> names = new TreeSet<>();

        catalog.keySet().forEach(namespace -> names.add(Utils.getDatabaseNameFromFullName(namespace)));
        return names;
    }

    boolean hasCollections(String database) {
        return catalog.keySet().stream().anyMatch(
            namespace -> namespace.startsWith(database + ".") && !namespace.startsWith(database + SYSTEM));
    }

    UUID uuid(String namespace) {
        return UUID.fromString(catalog.computeIfAbsent(namespace, absent -> UUID.randomUUID().toString()));
    }

    MVMap<String, Document> documents(String namespace) {
        return store.openMap("documents/" + uuid(namespace),
                             new MVMap.Builder<String, Document>()
                                 .keyType(StringDataType.INSTANCE)
                                 .valueType(new DocumentType()));
    }

    MVMap<String, String> index(String namespace, String name) {
        return store.openMap("index/" + uuid(namespace) + "/" + name,
                             new MVMap.Builder<String, String>()
                                 .keyType(StringDataType.INSTANCE)
                                 .valueType(StringDataType.INSTANCE));
    }

    void dropIndex(String namespace, String name) {
        store.removeMap(index(namespace, name));
    }

    void drop(String namespace) {
        store.removeMap(documents(namespace));
        catalog.remove(namespace);
    }

    void rename(String from, String to) {
        catalog.put(to, catalog.remove(from));
    }

    long fileSize() {
        return store.getFileStore() == null ? 0 : store.getFileStore().size();
    }

    void commit() {
        if (store.hasUnsavedChanges()) {
            store.commit();
        }
    }

    void close() {
        store.close();
    }
}

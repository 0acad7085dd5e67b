import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.AbstractMongoCollection;
import de.bwaldvogel.mongo.backend.ArrayFilters;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.DefaultQueryMatcher;
import de.bwaldvogel.mongo.backend.DocumentWithPosition;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.bson.ObjectId;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.Oplog;
import java.util.Iterator;
import java.util.Objects;
import java.util.UUID;
import java.util.stream.Stream;
import org.h2.mvstore.MVMap;

/** A collection: its documents by the text of their _id, and replacement as MongoDB 5 does it.
 *
 * Called under the backend's lock only. */
final class Collection extends AbstractMongoCollection<Object> {
    private final MVMap<String, Document> documents;

    Collection(MongoDatabase database, String name, CollectionOptions options, MVMap<String, Document> documents,
               CursorRegistry cursors) {
        super(database, name, options, cursors);
        this.documents = documents;
    }

    /* Returns {n, nModified, upserted: _id of a new document}. */
    Document replace(Document filter, Document replacement, boolean upsert) {
        Document old = first(filter);
        Document result = new Document("n", old == null ? 0 : 1).append("nModified", 0);

        requireReplaceable(replacement);
        if (old != null) {
            Document next = withId(old.get("_id"), replacement);
            result.put("nModified", next.equals(old) ? 0 : 1);
            overwrite(old, next);
        } else if (upsert) {
            Document added = withId(newId(filter, replacement), replacement);
            addDocument(added);
            result.put("upserted", added.get("_id"));
        }
        return result;
    }

    Document first(Document filter) {
        Iterator<Document> found = queryDocuments(filter, null, 0, 1, 0, null).iterator();

        return found.hasNext() ? found.next() : null;
    }

    private static void requireReplaceable(Document replacement) {
        for (String name : replacement.keySet()) {
            if (name.startsWith("$")) {
                throw new MongoServerError(52, "DollarPrefixedFieldName",
                                           "The dollar ($) prefixed field '" + name + "' in '" + name +
                                               "' is not allowed in the context of an update's replacement document."
                                               + " Consider using an aggregation pipeline with $replaceWith.");
            }
        }
    }

    private static Object newId(Document filter, Document replacement) {
        Object wanted = filter.get("_id");

        if (wanted instanceof Document && ((Document) wanted).containsKey("$eq")) {
            wanted = ((Document) wanted).get("$eq");
        }
        if (wanted != null && !isExpression(wanted)) {
            return wanted;
        }
        requireOperators(wanted);
        Object own = replacement.get("_id");
        return own != null ? own : new ObjectId();
    }

    /* With no document to match, the library would not look at them. */
    private static void requireOperators(Object condition) {
        if (condition != null) {
            new DefaultQueryMatcher().matches(new Document("_id", 0), new Document("_id", condition));
        }
    }

    private static boolean isExpression(Object value) {
        return value instanceof Document
            && ((Document) value).keySet().stream().findFirst().orElse("").startsWith("$");
    }

    private static Document withId(Object id, Document replacement) {
        Object own = replacement.get("_id");

        if (own != null && !KeyText.of(own).equals(KeyText.of(id))) {
            throw new MongoServerError(66, "ImmutableField",
                                       "After applying the update, the (immutable) field '_id' was found to have been"
                                           + " altered to _id: " + own);
        }
        Document document = new Document("_id", id);
        replacement.forEach((name, value) -> document.put(name, name.equals("_id") ? id : value));
        return document;
    }

    private void overwrite(Document old, Document next) {
        for (Index<Object> index : getIndexes()) {
            index.checkUpdate(old, next, this);
        }
        Object position = getIndexes().stream().map(index -> index.getPosition(old)).filter(Objects::nonNull)
                              .findFirst().orElseThrow();
        for (Index<Object> index : getIndexes()) {
            index.updateInPlace(old, next, position, this);
        }
        handleUpdate(position, old, next);
    }

    /* The library would scan for an $or, and try a found document against every value of a long $in again. */
    @Override
    protected QueryResult queryDocuments(Document query, Document orderBy, int skip, int limit, int batchSize,
                                         Document fields) {
        Lookup<Object> found = Lookup.of(query, getIndexes());

        return found == null
            ? matchDocuments(query, orderBy, skip, limit, batchSize, fields)
            : matchDocuments(found.rest, found.positions, orderBy, skip, limit, batchSize, fields);
    }

    /* MongoDB refuses such an _id, in an insert too. */
    @Override
    public void addDocument(Document document) {
        Object id = document.get("_id");

        if (id instanceof Document && isExpression(id)) {
            throw new MongoServerError(52, "DollarPrefixedFieldName",
                                       "_id fields may not contain '$'-prefixed fields: " + id);
        }
        super.addDocument(document);
    }

    @Override
    public Document updateDocuments(Document filter, Document update, ArrayFilters arrayFilters, boolean multi,
                                    boolean upsert, Oplog oplog) {
        return Writes.isReplacement(update) && !multi
            ? replace(filter, update, upsert)
            : super.updateDocuments(filter, update, arrayFilters, multi, upsert, oplog);
    }

    /* The library tells nothing of an upsert: MongoDB tells n and the new _id. */
    @Override
    public Document findAndModify(Document command) {
        Document filter = (Document) command.getOrDefault("query", new Document());
        boolean inserts = Utils.isTrue(command.get("upsert")) && first(filter) == null;

        if (!inserts) {
            Document reply = super.findAndModify(command);
            reply.putIfAbsent("lastErrorObject", new Document("n", reply.get("value") == null ? 0 : 1));
            return reply;
        }
        Document asking = command.clone();
        asking.put("new", true);
        asking.remove("fields");
        Object id = ((Document) super.findAndModify(asking).get("value")).get("_id");
        Document reply = new Document("lastErrorObject", new Document("n", 1).append("updatedExisting", false)
                                                             .append("upserted", id));
        reply.put("value", Utils.isTrue(command.get("new")) ? projected(id, command) : null);
        return Backend.ok(reply);
    }

    private Document projected(Object id, Document command) {
        Document fields = (Document) command.get("fields");

        return queryDocuments(new Document("_id", id), null, 0, 1, 0, fields).iterator().next();
    }

    @Override
    protected Object addDocumentInternal(Document document) {
        String idField = getIdField();
        String position = idField == null ? UUID.randomUUID().toString() : KeyText.of(document.get(idField));

        documents.put(position, document);
        return position;
    }

    @Override
    protected void handleUpdate(Object position, Document old, Document next) {
        documents.put((String) position, next);
    }

    @Override
    protected void removeDocument(Object position) {
        documents.remove(position);
    }

    @Override
    protected Document getDocument(Object position) {
        return documents.get(position);
    }

    @Override
    protected Stream<DocumentWithPosition<Object>> streamAllDocumentsWithPosition() {
        return documents.entrySet().stream().map(
            entry -> new DocumentWithPosition<>(entry.getValue(), entry.getKey()));
    }

    @Override
    protected QueryResult matchDocuments(Document query, Document orderBy, int skip, int limit, int batchSize,
                                         Document fields) {
        return matchDocumentsFromStream(documents.values().stream(), query, orderBy, skip, limit, batchSize, fields);
    }

    @Override
    public int count() {
        return documents.size();
    }

    @Override
    public boolean isEmpty() {
        return documents.isEmpty();
    }

    @Override
    protected boolean tracksDataSize() {
        return false;
    }

    @Override
    protected void updateDataSize(int delta) {
        throw new UnsupportedOperationException("sizes are computed when asked for");
    }

    @Override
    protected int getDataSize() {
        DocumentType type = new DocumentType();

        return documents.values().stream().mapToInt(type::getMemory).sum();
    }
}

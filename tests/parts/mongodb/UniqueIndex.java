import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.Missing;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.BsonRegularExpression;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.DuplicateKeyError;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVMap;

/** A unique index with exact keys: all 34 digits of a Decimal128 count, where the library compares doubles.
 *
 * Serves every query that names all its fields with a value, $eq or $in; what else the query asks for is
 * matched on the documents found. */
final class UniqueIndex extends Index<Object> {
    private final MVMap<String, String> positions;

    UniqueIndex(MVMap<String, String> positions, String name, List<IndexKey> keys, boolean sparse) {
        super(name, keys, sparse);
        this.positions = positions;
    }

    @Override
    public boolean isUnique() {
        return true;
    }

    private Set<String> entries(Document document) {
        List<List<Object>> values = new ArrayList<>();
        boolean missing = true;

        for (String key : keys()) {
            Object value = Utils.getSubdocumentValueCollectionAware(document, key);
            missing &= value instanceof Missing;
            values.add(elements(value));
        }
        return missing && isSparse() ? Set.of() : product(values);
    }

    /* An array is indexed by each of its elements. */
    private static List<Object> elements(Object value) {
        if (value instanceof Collection && !((Collection<?>) value).isEmpty()) {
            return new ArrayList<>((Collection<?>) value);
        }
        List<Object> single = new ArrayList<>();
        single.add(value);
        return single;
    }

    private static Set<String> product(List<List<Object>> values) {
        Set<String> texts = Set.of("");

        for (List<Object> alternatives : values) {
            Set<String> longer = new LinkedHashSet<>();
            for (String text : texts) {
                for (Object value : alternatives) {
                    longer.add(text + KeyText.of(value));
                }
            }
            texts = longer;
        }
        return texts;
    }

    private void refuseDuplicate(Document document, String own, MongoCollection<Object> collection) {
        for (String entry : entries(document)) {
            String position = positions.get(entry);
            if (position != null && !position.equals(own)) {
                List<Object> values = new ArrayList<>();
                keys().forEach(key -> values.add(Utils.getSubdocumentValueCollectionAware(document, key)));
                throw new DuplicateKeyError(this, collection, getKeys(), new KeyValue(values));
            }
        }
    }

    @Override
    public Object getPosition(Document document) {
        for (String entry : entries(document)) {
            String position = positions.get(entry);
            if (position != null) {
                return position;
            }
        }
        return null;
    }

    @Override
    public void checkAdd(Document document, MongoCollection<Object> collection) {
        refuseDuplicate(document, null, collection);
    }

    @Override
    public void add(Document document, Object position, MongoCollection<Object> collection) {
        checkAdd(document, collection);
        entries(document).forEach(entry -> positions.put(entry, (String) position));
    }

    @Override
    public Object remove(Document document) {
        Object position = null;

        for (String entry : entries(document)) {
            position = positions.remove(entry);
        }
        return position;
    }

    @Override
    public void checkUpdate(Document old, Document next, MongoCollection<Object> collection) {
        refuseDuplicate(next, (String) getPosition(old), collection);
    }

    @Override
    public void updateInPlace(Document old, Document next, Object position, MongoCollection<Object> collection) {
        Set<String> before = entries(old);
        Set<String> after = entries(next);

        if (!before.equals(after)) {
            before.forEach(positions::remove);
            after.forEach(entry -> positions.put(entry, (String) position));
        }
    }

    @Override
    public boolean canHandle(Document query) {
        for (String key : keys()) {
            if (!query.containsKey(key) || asked(query.get(key)) == null) {
                return false;
            }
        }
        return !isSparse() || keys().stream().noneMatch(key -> query.get(key) == null);
    }

    @Override
    public Iterable<Object> getPositions(Document query) {
        List<List<Object>> values = new ArrayList<>();
        Set<Object> found = new LinkedHashSet<>();

        keys().forEach(key -> values.add(asked(query.get(key))));
        for (String entry : product(values)) {
            String position = positions.get(entry);
            if (position != null) {
                found.add(position);
            }
        }
        return found;
    }

    /* The values that a query allows for a field; null if the index can't tell. */
    private static List<Object> asked(Object condition) {
        if (condition instanceof Collection || BsonRegularExpression.isRegularExpression(condition)) {
            return null;
        }
        if (!(condition instanceof Document)) {
            return elements(condition);
        }
        Document document = (Document) condition;
        if (document.keySet().equals(Set.of("$eq"))) {
            return asked(document.get("$eq"));
        }
        if (document.keySet().equals(Set.of("$in"))) {
            List<Object> values = new ArrayList<>((Collection<?>) document.get("$in"));
            return values.stream().anyMatch(value -> value instanceof Collection || isRegex(value)) ? null : values;
        }
        return document.keySet().stream().anyMatch(name -> name.startsWith("$")) ? null : elements(condition);
    }

    private static boolean isRegex(Object value) {
        return BsonRegularExpression.isRegularExpression(value);
    }

    @Override
    public long getCount() {
        return positions.sizeAsLong();
    }

    @Override
    public long getDataSize() {
        return getCount();
    }

    @Override
    public void drop() {
        positions.clear();
    }
}

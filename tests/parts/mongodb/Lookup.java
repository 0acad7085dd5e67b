import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.bson.Document;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** What the indexes know of a query: where the documents are, and the part of the query that is left to match.
 *
 * An `$or` is looked up when each of its branches can be, as MongoDB does. */
final class Lookup<P> {
    final Set<P> positions = new LinkedHashSet<>();
    final Document rest;

    private Lookup(Document rest) {
        this.rest = rest;
    }

    /* null: the collection must be scanned */
    static <P> Lookup<P> of(Document query, List<Index<P>> indexes) {
        for (Index<P> index : indexes) {
            if (index.canHandle(query)) {
                Lookup<P> found = new Lookup<>(query.clone());
                index.getPositions(query).forEach(found.positions::add);
                index.getKeys().forEach(key -> found.rest.remove(key.getKey()));
                return found;
            }
        }
        return query.get("$or") instanceof Collection ? ofBranches(query, indexes) : null;
    }

    /* An empty $or is left to the library, which refuses it. */
    private static <P> Lookup<P> ofBranches(Document query, List<Index<P>> indexes) {
        Collection<?> branches = (Collection<?>) query.get("$or");
        Lookup<P> found = new Lookup<>(query.clone());
        boolean exact = true;

        for (Object branch : branches) {
            Lookup<P> one = branch instanceof Document ? of((Document) branch, indexes) : null;
            if (one == null) {
                return null;
            }
            found.positions.addAll(one.positions);
            exact &= one.rest.isEmpty();
        }
        if (branches.isEmpty()) {
            return null;
        }
        if (exact) {
            found.rest.remove("$or");
        }
        return found;
    }
}

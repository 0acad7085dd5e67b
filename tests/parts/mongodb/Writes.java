import de.bwaldvogel.mongo.backend.ArrayFilters;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.NoopOplog;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** The insert, update and delete commands: each statement alone, an error of one in writeErrors.
 *
 * Every error has its index and code; an ordered command stops at the first, an unordered one goes on. */
final class Writes {
    private Writes() {
    }

    static Document insert(Collection collection, Document command) {
        return run(command, "documents", document -> {
            collection.addDocument(document);
            return new Document("n", 1);
        });
    }

    static Document update(Collection collection, Document command, Sharding sharding) {
        Document shardKey = sharding.keyOf(collection.getFullName());
        Document reply = run(command, "updates", statement -> {
            if (Utils.isTrue(statement.get("upsert"))) {
                Sharding.requireKey(shardKey, (Document) statement.get("q"));
            }
            return updateOne(collection, statement);
        });

        reply.putIfAbsent("nModified", 0);
        return reply;
    }

    private static Document updateOne(Collection collection, Document statement) {
        if (!(statement.get("u") instanceof Document) || statement.containsKey("arrayFilters")) {
            throw new MongoServerError(9, "FailedToParse",
                                       "this server has neither pipeline updates nor array filters");
        }
        Document update = (Document) statement.get("u");
        boolean multi = Utils.isTrue(statement.get("multi"));

        if (multi && isReplacement(update)) {
            throw new MongoServerError(9, "FailedToParse", "multi update is not supported for replacement-style update");
        }
        if (!isReplacement(update)) {
            requireModifiers(update);
        }
        return collection.updateDocuments((Document) statement.get("q"), update, ArrayFilters.empty(), multi,
                                          Utils.isTrue(statement.get("upsert")), NoopOplog.get());
    }

    private static void requireModifiers(Document update) {
        for (String name : update.keySet()) {
            if (!name.startsWith("$") || !(update.get(name) instanceof Document)) {
                throw new MongoServerError(9, "FailedToParse",
                                           "Unknown modifier: " + name + ". Expected a valid update modifier or"
                                               + " pipeline-style update specified as an array");
            }
        }
    }

    /* By its first name alone, as MongoDB decides. */
    static boolean isReplacement(Document update) {
        return update.isEmpty() || !update.keySet().iterator().next().startsWith("$");
    }

    static Document delete(Collection collection, Document command) {
        return run(command, "deletes", statement -> {
            int limit = ((Number) statement.get("limit")).intValue();
            return new Document("n", collection.deleteDocuments((Document) statement.get("q"), limit));
        });
    }

    private static Document run(Document command, String field, Function<Document, Document> statement) {
        boolean ordered = Utils.isTrue(command.getOrDefault("ordered", true));
        List<?> statements = (List<?>) command.get(field);
        List<Document> upserted = new ArrayList<>();
        List<Document> errors = new ArrayList<>();
        int n = 0;
        int modified = 0;

        for (int i = 0; i < statements.size() && (errors.isEmpty() || !ordered); i++) {
            try {
                Document result = statement.apply((Document) statements.get(i));
                n += (int) result.get("n");
                modified += (int) result.getOrDefault("nModified", 0);
                if (result.containsKey("upserted")) {
                    n++;
                    upserted.add(new Document("index", i).append("_id", result.get("upserted")));
                }
            } catch (RuntimeException e) {
                errors.add(error(i, e));
            }
        }
        Document reply = new Document("n", n);
        if (field.equals("updates")) {
            reply.put("nModified", modified);
        }
        putUnlessEmpty(reply, "upserted", upserted);
        putUnlessEmpty(reply, "writeErrors", errors);
        return Backend.ok(reply);
    }

    private static void putUnlessEmpty(Document reply, String name, List<Document> list) {
        if (!list.isEmpty()) {
            reply.put(name, list);
        }
    }

    private static Document error(int index, RuntimeException e) {
        if (e instanceof MongoServerError) {
            MongoServerError error = (MongoServerError) e;
            return new Document("index", index).append("code", error.getCode())
                .append("codeName", error.getCodeName())
                .append("errmsg", error.getMessageWithoutErrorCode());
        }
        return new Document("index", index).append("code", 8).append("codeName", "UnknownError")
            .append("errmsg", e.toString());
    }
}

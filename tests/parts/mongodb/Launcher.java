/** Starts the MongoDB-compatible server of the tests and the demo: Launcher PORT [FILE].
 *
 * Listens on 127.0.0.1 only, or on what -Dlisten says. With FILE every acknowledged write survives kill -9; without it all data
 * is in memory. */
public final class Launcher {
    private Launcher() {
    }

    public static void main(String[] args) {
        if (args.length < 1 || args.length > 2) {
            System.err.println("usage: Launcher PORT [FILE]");
            System.exit(64);
        }
        Backend backend = new Backend(args.length == 2 ? args[1] : null);
        de.bwaldvogel.mongo.MongoServer server = new de.bwaldvogel.mongo.MongoServer(backend);

        server.bind(System.getProperty("listen", "127.0.0.1"), Integer.parseInt(args[0]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        System.out.println("listening on " + server.getLocalAddress());
    }
}

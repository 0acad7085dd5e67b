"""A gate in front of a server: it carries bytes to and fro, refuses connections, or lets nothing pass.

Each connection has a thread for each direction.
"""

import socket
import threading


class TcpGate:
    """Use as a context manager; `address` is HOST:PORT."""

    def __init__(self, host, port):
        self.server = host, port
        self.open = threading.Event()  # else what comes is kept
        self.open.set()
        self.lock = threading.Lock()
        self.connections = set()
        self.listener, self.port = None, 0
        self.accept()
        self.address = "127.0.0.1:%d" % self.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open.set()
        self.refuse()

    def accept(self):
        """Connections are taken (again, on the same port)."""
        if self.listener:
            return
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Connections are refused, and those there are are cut."""
        listener, self.listener = self.listener, None
        if listener:
            shut(listener)
            listener.close()
        self.cut_all()

    def cut_all(self):
        with self.lock:
            found = list(self.connections)
        for each in found:
            shut(each)

    def close(self):
        """What comes is kept until the gate opens."""
        self.open.clear()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # refusing
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.connections |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass  # cut
        finally:
            shut(source)
            shut(sink)
            with self.lock:
                self.connections.discard(source)
            source.close()


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already

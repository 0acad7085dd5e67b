"""A proxy in front of a Kafka broker that swallows requests of chosen kinds, as a broker in trouble does.

Answers that name the broker's address name the proxy instead, so that clients stay with it. Frames are a length
of four bytes and what follows; a request begins with its kind. Each connection has a thread for each direction.
"""

import socket
import struct
import threading

LIST_OFFSETS, CREATE_TOPICS = 2, 19


def frames(connection):
    """The whole frames that come, without their lengths; ends with the connection."""
    with connection.makefile("rb") as stream:
        while len(head := stream.read(4)) == 4:
            yield stream.read(struct.unpack(">i", head)[0])


class KafkaProxy:
    def __init__(self, broker, swallowed):
        host, port = broker.split(":")
        self.broker, self.swallowed = (host, int(port)), swallowed
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.hidden = threading.Event()  # something was swallowed
        self.connections = []
        theirs, ours = ((b"127.0.0.1" + struct.pack(">i", p)) for p in (int(port), self.listener.getsockname()[1]))
        self.rename = lambda frame: frame.replace(theirs, ours)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in [self.listener, *self.connections]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other end was first
            each.close()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return  # closed
            broker = socket.create_connection(self.broker)
            self.connections += [client, broker]
            threading.Thread(target=self.pass_on, args=(client, broker, self.asked), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(broker, client, self.rename), daemon=True).start()

    def asked(self, frame):
        if struct.unpack(">h", frame[:2])[0] not in self.swallowed:
            return frame
        self.hidden.set()
        return None

    @staticmethod
    def pass_on(source, sink, change):
        try:
            for frame in frames(source):
                frame = change(frame)
                if frame is not None:
                    sink.sendall(struct.pack(">i", len(frame)) + frame)
            sink.shutdown(socket.SHUT_RDWR)
        except (OSError, ValueError):
            pass  # closed meanwhile

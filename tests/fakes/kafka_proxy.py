"""A proxy in front of a Kafka broker that swallows requests of chosen kinds, or their answers, as a broker in
trouble does, and says of records of chosen topics that they were refused, or does not tell chosen names.

Answers that name the broker's address name the proxy instead, so that clients stay with it. Frames are a length
of four bytes and what follows; a request begins with its kind. Each connection has a thread for each direction.
"""

import socket
import struct
import threading

PRODUCE, LIST_OFFSETS, CREATE_TOPICS, DESCRIBE_CONFIGS = 0, 2, 19, 32
OUT_OF_ORDER_SEQUENCE = 45


def frames(connection):
    """The whole frames that come, without their lengths; ends with the connection."""
    with connection.makefile("rb") as stream:
        while len(head := stream.read(4)) == 4:
            yield stream.read(struct.unpack(">i", head)[0])


def with_code(frame, code):
    """The answer to a Produce request of one partition, with this error: number, topics, name, partitions,
    partition, error, and the rest."""
    at = 4 + 4 + 2 + struct.unpack(">h", frame[8:10])[0] + 4 + 4
    return frame[:at] + struct.pack(">h", code) + frame[at + 2:]


class KafkaProxy:
    def __init__(self, broker, swallowed=()):
        host, port = broker.split(":")
        self.broker, self.swallowed = (host, int(port)), swallowed
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.hidden = threading.Event()  # something was swallowed
        self.connections = []
        self.refusal = None  # (part of the topic's name, code, how often)
        self.untold = ()  # names that no answer tells
        self.unanswered = ()  # kinds of requests that are carried out, and whose answers are lost
        self.before = {}  # kind of request -> what is called with it before it goes on
        self.away = False  # no connection gets to the broker
        theirs, ours = ((b"127.0.0.1" + struct.pack(">i", p)) for p in (int(port), self.listener.getsockname()[1]))
        self.rename = lambda frame: frame.replace(theirs, ours)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.end(self.listener)
        self.cut_all()

    def cut_all(self):
        """Cuts every connection."""
        connections, self.connections = self.connections, []
        for each in connections:
            self.end(each)

    @staticmethod
    def end(each):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first
        each.close()

    def refuse(self, topic, code, times):
        """The answers to the next `times` Produce requests for such a topic say `code`."""
        self.refusal = [topic.encode(), code, times]

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return  # closed
            try:
                if self.away:
                    raise ConnectionRefusedError
                broker = socket.create_connection(self.broker)
            except OSError:
                client.close()
                continue
            self.connections += [client, broker]
            refused = {}  # of this connection: number of the request -> code
            asked = lambda frame, refused=refused: self.asked(frame, refused)
            answered = lambda frame, refused=refused: self.answered(frame, refused)
            threading.Thread(target=self.pass_on, args=(client, broker, asked), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(broker, client, answered), daemon=True).start()

    def asked(self, frame, refused):
        kind, _, number = struct.unpack(">hhi", frame[:8])
        self.before.get(kind, lambda frame: None)(frame)
        if kind == PRODUCE and self.refusal and self.refusal[2] and self.refusal[0] in frame:
            self.refusal[2] -= 1
            refused[number] = self.refusal[1]
        if kind in self.unanswered:
            refused[number] = None
        if kind not in self.swallowed:
            return frame
        self.hidden.set()
        return None

    def answered(self, frame, refused):
        code = refused.pop(struct.unpack(">i", frame[:4])[0], 0)
        if code is None:
            self.hidden.set()
            return None
        for name in self.untold:
            frame = frame.replace(name.encode(), b"x" * len(name))
        return with_code(frame, code) if code else self.rename(frame)

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

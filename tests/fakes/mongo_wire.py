"""MongoDB's wire protocol as far as a proxy needs it: messages whole, OP_MSG with its document sequences.

Pure but for read_message. A Message keeps the bytes it came in, so that forwarding changes nothing.
"""
import struct

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM, MORE_TO_COME = 1, 2
MAX_MESSAGE_BYTES = 64 << 20
# The argument that holds a write command's statements, inline or as a document sequence.
STATEMENTS = {"insert": "documents", "update": "updates", "delete": "deletes"}


class Message:
    def __init__(self, raw):
        self.raw = raw
        _, self.request_id, self.response_to, self.opcode = struct.unpack_from("<iiii", raw)
        self.flags = struct.unpack_from("<I", raw, 16)[0] if self.opcode == OP_MSG else 0
        self._sections = None

    @property
    def more_to_come(self):
        return bool(self.flags & MORE_TO_COME)

    def sections(self):
        """(body, {name of a sequence: its documents})"""
        if self._sections is None:
            self._sections = self._decode_msg() if self.opcode == OP_MSG else (self._decode_old(), {})
        return self._sections

    def _decode_msg(self):
        body, sequences, at = {}, {}, 20
        end = len(self.raw) - (4 if self.flags & CHECKSUM else 0)
        while at < end:
            kind, size = self.raw[at], struct.unpack_from("<i", self.raw, at + 1)[0]
            part = self.raw[at + 1:at + 1 + size]
            if kind == 0:
                body = bson.decode(part)
            else:
                name_end = part.index(b"\0", 4)
                sequences[part[4:name_end].decode()] = bson.decode_all(part[name_end + 1:])
            at += 1 + size
        return body, sequences

    def _decode_old(self):
        """The first document of an OP_QUERY or OP_REPLY, which handshakes still use."""
        if self.opcode == OP_QUERY:
            at = self.raw.index(b"\0", 20) + 1 + 8
        elif self.opcode == OP_REPLY:
            at = 36
        else:
            return {}
        size = struct.unpack_from("<i", self.raw, at)[0]
        return bson.decode(self.raw[at:at + size])

    @property
    def body(self):
        return self.sections()[0]

    @property
    def command(self):
        return next(iter(self.body), "")

    @property
    def database(self):
        return self.body.get("$db", "")

    @property
    def collection(self):
        value = self.body.get("collection") if self.command == "getMore" else self.body.get(self.command)
        return value if isinstance(value, str) else ""

    @property
    def statements(self):
        """The documents, updates or deletes of a write command."""
        name = STATEMENTS.get(self.command)
        body, sequences = self.sections()
        return sequences.get(name, body.get(name, [])) if name else []

    def without(self, indexes):
        """The same write command, but for these of its statements."""
        left = [s for n, s in enumerate(self.statements) if n not in indexes]
        body = {k: v for k, v in self.body.items() if k != STATEMENTS[self.command]}
        body[STATEMENTS[self.command]] = left
        return make_message(self.request_id, body)


def make_message(request_id, body, response_to=0):
    part = b"\0" + bson.encode(body)
    head = struct.pack("<iiiiI", 20 + len(part), request_id, response_to, OP_MSG, 0)
    return Message(head + part)


def make_reply(request, document):
    """An answer to this request, in the protocol that the request came in."""
    if request.opcode == OP_MSG:
        return make_message(0, document, request.request_id)
    part = bson.encode(document)
    head = struct.pack("<iiii", 36 + len(part), 0, request.request_id, OP_REPLY)
    return Message(head + struct.pack("<iqii", 8, 0, 0, 1) + part)


def read_exactly(sock, size):
    """So many bytes, or None at an orderly end before the first."""
    pieces, left = [], size
    while left:
        piece = sock.recv(min(left, 1 << 20))
        if not piece:
            if left == size:
                return None
            raise ConnectionError("cut in the middle of a message")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def read_message(sock):
    """The next message, or None when the peer has left."""
    head = read_exactly(sock, 4)
    if head is None:
        return None
    size = struct.unpack("<i", head)[0]
    if not 16 <= size <= MAX_MESSAGE_BYTES:
        raise ConnectionError("a message of %d bytes" % size)
    rest = read_exactly(sock, size - 4)
    if rest is None:
        raise ConnectionError("cut in the middle of a message")
    return Message(head + rest)

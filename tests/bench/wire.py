"""A wire to a MongoDB server that takes its time, counts commands by name and sees when marked items arrive.

    python3 tests/bench/wire.py HOST:PORT DELAY_MS

Runs as a process of its own and prints its address. Each line on its standard input is answered by one line of
JSON: what was seen since the line before. The end of its input ends it.

Each message is kept back for half of the delay in either direction, in order, whatever else is on the way:
any number of connections wait at once. Only a command's name is decoded (the first member of its body) and a
mark `@NUMBER:SECONDS@` anywhere in its bytes. A mark has arrived when the server has answered its command, so
the way back does not count. `cpu` tells whether the wire itself was busy; ping_ms tells what it adds.
"""

import asyncio
import collections
import json
import re
import subprocess
import sys
import time

MARK = re.compile(rb"@(\d+):(\d+\.\d+)@")
NAME_AT = 20 + 1 + 4 + 1  # OP_MSG: header and flags, kind 0 of a section, its size, a type
NAME_BYTES = 40
OP_MSG = 2013


class Seen:
    """Since the last report."""

    def __init__(self):
        self.commands = collections.Counter()
        self.arrived = {}  # number of a mark -> seconds on its way; the first time counts
        self.cpu, self.began = time.process_time(), time.monotonic()

    def report(self):
        busy = (time.process_time() - self.cpu) / max(time.monotonic() - self.began, 1e-3)
        return {"commands": self.commands, "arrived": self.arrived, "cpu": busy}


class Side(asyncio.Protocol):
    """One end of a connection: cuts what comes into messages, each goes to `other` after the delay."""

    def __init__(self, wire, on_message):
        self.wire, self.on_message = wire, on_message
        self.other = self.transport = None
        self.part = bytearray()
        self.waiting = collections.deque()  # (when to send, bytes): in order, as the delay is the same for all
        self.unsent = []  # before the connection was there

    def connection_made(self, transport):
        self.transport = transport
        for message in self.unsent:
            transport.write(message)
        self.unsent.clear()

    def data_received(self, data):
        self.part += data
        while len(self.part) >= 4:
            size = int.from_bytes(self.part[:4], "little")
            if len(self.part) < size:
                return
            message = bytes(self.part[:size])
            del self.part[:size]
            self.on_message(message)
            self.pass_on(message)

    def pass_on(self, message):
        if not self.wire.delay:
            return self.other.send(message)
        loop = asyncio.get_running_loop()
        self.waiting.append((loop.time() + self.wire.delay / 2, message))
        if len(self.waiting) == 1:
            loop.call_at(self.waiting[0][0], self.send_due)

    def send_due(self):
        loop = asyncio.get_running_loop()
        while self.waiting and self.waiting[0][0] <= loop.time():
            self.other.send(self.waiting.popleft()[1])
        if self.waiting:
            loop.call_at(self.waiting[0][0], self.send_due)

    def send(self, message):
        if self.transport:
            self.transport.write(message)
        else:
            self.unsent.append(message)

    def connection_lost(self, _):
        if self.other.transport:
            self.other.transport.close()


class Conversation:
    """A client's connection and its own one to the server."""

    def __init__(self, wire):
        self.wire, self.marks = wire, []
        self.client, self.server = Side(wire, self.on_command), Side(wire, self.on_answer)
        self.client.other, self.server.other = self.server, self.client
        self.opening = asyncio.ensure_future(self.open())

    async def open(self):
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.server, *self.wire.server)
        except OSError:
            self.client.transport.close()

    def on_command(self, message):
        if int.from_bytes(message[12:16], "little") != OP_MSG:
            return  # a handshake of the old kind
        name = message[NAME_AT : NAME_AT + NAME_BYTES].split(b"\0")[0].decode(errors="replace")
        self.wire.seen.commands[name] += 1
        self.marks = MARK.findall(message)

    def on_answer(self, _):
        now = time.time()
        for number, sent in self.marks:
            self.wire.seen.arrived.setdefault(int(number), now - float(sent))
        self.marks = []


class Wire:
    def __init__(self, server, delay):
        host, _, port = server.rpartition(":")
        self.server, self.delay, self.seen = (host, int(port)), delay, Seen()

    async def run(self):
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Conversation(self).client, "127.0.0.1", 0)
        print("%s:%d" % listener.sockets[0].getsockname(), flush=True)
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while await lines.readline():
            seen, self.seen = self.seen, Seen()
            print(json.dumps(seen.report()), flush=True)


class Link:
    """A wire for a bench. `address` is HOST:PORT."""

    def __init__(self, server, delay_ms=0):
        server = server.removeprefix("mongodb://").strip("/")
        self.process = subprocess.Popen([sys.executable, __file__, server, str(delay_ms)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
        self.address = self.process.stdout.readline().strip()

    def report(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ping_ms(client, count=50):
    """The median round trip of a command that does nothing."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        client.admin.command("ping")
        times.append(time.monotonic() - began)
    return sorted(times)[count // 2] * 1e3


if __name__ == "__main__":
    asyncio.run(Wire(sys.argv[1], float(sys.argv[2]) / 1e3).run())

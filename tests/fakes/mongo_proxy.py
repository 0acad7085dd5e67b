"""A proxy in front of a MongoDB server that can hold, lose and falsify single commands.

Each client connection has one of its own to the server and one thread, which carries a command there and its
answer back: so a command that is held goes on when it is released, whatever became of its client. Faults are
those of script.py with the kinds below; `op` is the command's name, `where` may name `db` and `collection`,
`predicate` sees the Message.

hold            keeps the command until release(); `cut`: true closes the client's connection meanwhile
delay           `seconds`; `when`: before (the default; the server sees it late) or reply (its answer is late)
cut             `when`: before (the server never sees it) or reply (it is executed, the answer is lost)
duplicate       the statements with these `indexes` are not executed, each is answered with error 11000
write_error     the same with `code` and `message`; `text` instead of `indexes`: those that hold this text, in
                whichever command they come; neither: all
not_primary     not executed, answered with NotWritablePrimary
write_concern   executed, the answer has a writeConcernError
reply           not executed, answered with `document`
amend           executed, `document` is merged into the answer, or `change` (of this process) makes another

As a command: `python3 -m fakes.mongo_proxy --server HOST:PORT`, controlled by POST /_control on its second
port, as the fake DynamoDB is.
"""
import argparse
import json
import socket
import threading

import bson

from .control import Faults, wait_for_interrupt
from .dynamodb import answer_control
from .http_wire import HttpServer, cut
from .mongo_wire import make_reply, read_message
from .script import Script

KINDS = {
    "hold": {"cut"}, "delay": {"seconds", "when"}, "cut": {"when"}, "duplicate": {"indexes"},
    "write_error": {"indexes", "text", "code", "message"}, "not_primary": set(), "write_concern": set(),
    "reply": {"document"}, "amend": {"document", "change"},
}
NOT_PRIMARY = {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"}
CONCERN = {"writeConcernError": {"code": 64, "codeName": "WriteConcernFailed",
                                 "errmsg": "waiting for replication timed out",
                                 "errInfo": {"wtimeout": True}}}
LOGGED_BYTES = 4096


class ProxyControl(Faults):
    """The verbs: those about faults, and these about connections."""

    def __init__(self, script, proxy):
        super().__init__(script)
        self.proxy = proxy

    def refuse(self):
        """Connections are refused and those there are are cut, as by a server that is down."""
        self.proxy.refuse()

    def accept(self):
        """Connections are taken again, on the same port."""
        self.proxy.accept()

    def cut_all(self):
        self.proxy.cut_all()

    def connections(self):
        return len(self.proxy.clients)


class MongoProxy:
    """Use as a context manager; `address` is HOST:PORT, `uri` what a client is given."""

    def __init__(self, server, port=0):
        host, _, server_port = server.replace("mongodb://", "").strip("/").rpartition(":")
        self.server = host, int(server_port)
        self.script = Script(kinds=KINDS)
        self.control = ProxyControl(self.script, self)
        self.lock = threading.Lock()
        self.clients, self.upstreams = set(), set()
        self.listener = None
        self.port = port
        self.accept()
        self.address = "127.0.0.1:%d" % self.port
        self.uri = "mongodb://%s/" % self.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.script.clear()
        self.refuse()
        with self.lock:
            left = list(self.upstreams)
        for sock in left:
            shut(sock)

    def accept(self):
        if self.listener:
            return
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        listener, self.listener = self.listener, None
        if listener:
            shut(listener)
            listener.close()
        self.cut_all()

    def cut_all(self):
        with self.lock:
            clients = list(self.clients)
        for client in clients:
            shut(client)

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with self.lock:
            self.clients.add(client)
        upstream = None
        try:
            upstream = socket.create_connection(self.server)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.upstreams.add(upstream)
            Conversation(self, client, upstream).run()
        except OSError:
            pass  # one of the two has left; the other is told by the cut below
        finally:
            with self.lock:
                self.clients.discard(client)
                self.upstreams.discard(upstream)
            for sock in (client, upstream):
                if sock:
                    cut(sock)


class Conversation:
    """One client connection: command by command, in order."""

    def __init__(self, proxy, client, upstream):
        self.proxy, self.script = proxy, proxy.script
        self.client, self.upstream = client, upstream

    def run(self):
        while True:
            request = read_message(self.client)
            if request is None:
                return
            entry, faults = self._admit(request)
            outcome = "lost"
            try:
                outcome = self._carry(request, faults)
            finally:
                self.script.end(entry, outcome)
            if outcome == "cut":
                return

    def _admit(self, request):
        fields = {"db": request.database, "collection": request.collection,
                  "statements": len(request.statements)}
        if len(request.raw) <= LOGGED_BYTES:
            fields["body"], fields["list"] = request.body, request.statements
        entry = self.script.begin(request.command, fields, self.client.fileno())
        faults = self.script.take(request.command, fields, request)
        entry["faults"] = [f.kind for f in faults]
        return entry, faults

    def _carry(self, request, faults):
        """Forwards one command and its answer as the faults wish; says what became of it."""
        for fault in faults:
            if fault.more.get("when") != "reply":
                self._wait(fault)
        by_kind = {f.kind: f.more for f in faults}
        by_kind["amend"] = [f.more for f in faults if f.kind == "amend"]
        if by_kind.get("cut", {}).get("when") == "before":
            return "cut"
        answer = self._answer(request, by_kind)
        for fault in faults:
            if fault.more.get("when") == "reply":
                self._wait(fault)
        if "cut" in by_kind:
            return "cut"
        if answer is not None:
            self.client.sendall(answer.raw)
        while answer is not None and answer.more_to_come:
            answer = read_message(self.upstream)
            self.client.sendall(answer.raw)
        return "answered"

    def _wait(self, fault):
        if fault.kind == "hold":
            if fault.more.get("cut"):
                shut(self.client)
            self.script.hold(fault)
        elif fault.kind == "delay":
            fault.released.wait(fault.more["seconds"])

    def _answer(self, request, by_kind):
        if "reply" in by_kind:
            return make_reply(request, by_kind["reply"]["document"])
        if "not_primary" in by_kind:
            return make_reply(request, NOT_PRIMARY)
        if "duplicate" in by_kind:
            return self._refuse_statements(request, by_kind["duplicate"]["indexes"], 11000,
                                           "E11000 duplicate key error")
        if "write_error" in by_kind:
            more = by_kind["write_error"]
            return self._refuse_statements(request, chosen(request, more), more["code"], more["message"])
        answer = self._forward(request)
        if answer is None:
            return None
        if "write_concern" in by_kind:
            return make_reply(request, {**answer.body, **CONCERN})
        if by_kind["amend"]:
            return make_reply(request, amended(answer.body, by_kind["amend"]))
        return self._own_address(request, answer)

    def _forward(self, request):
        """The server's answer; None for a command that asks for none."""
        self.upstream.sendall(request.raw)
        if request.more_to_come:
            return None
        answer = read_message(self.upstream)
        if answer is None:
            raise ConnectionError("the server has left")
        return answer

    def _refuse_statements(self, request, indexes, code, message):
        """The other statements are executed; the answer counts as if the server had refused these."""
        refused = [n for n in indexes if n < len(request.statements)]
        kept = [n for n in range(len(request.statements)) if n not in refused]
        body = {"ok": 1.0, "n": 0}
        if kept:
            body = dict(self._forward(request.without(refused)).body)
        elif request.command == "update":
            body["nModified"] = 0
        for name in ("upserted", "writeErrors"):
            if name in body:
                body[name] = [{**e, "index": kept[e["index"]]} for e in body[name]]
        errors = [{"index": n, "code": code, "errmsg": message} for n in refused]
        body["writeErrors"] = sorted(body.get("writeErrors", []) + errors, key=lambda e: e["index"])
        return make_reply(request, body)

    def _own_address(self, request, answer):
        """A replica set names its members; the client must go on coming through here."""
        if request.command.lower() not in ("hello", "ismaster") or "hosts" not in answer.body:
            return answer
        own = self.proxy.address
        body = {**answer.body, "hosts": [own], "me": own, "primary": own}
        for name in ("passives", "arbiters"):
            body.pop(name, None)
        return make_reply(request, body)


def chosen(request, more):
    """The statements that a write_error is for."""
    if "indexes" in more:
        return more["indexes"]
    text = more.get("text", "").encode()
    return [n for n, s in enumerate(request.statements) if text in bson.encode(s)]


def amended(body, amends):
    for more in amends:
        body = {**body, **more.get("document", {})}
        body = more["change"](body) if "change" in more else body
    return body


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already


def main():
    parser = argparse.ArgumentParser(description="A proxy with faults in front of a MongoDB server.")
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    args = parser.parse_args()
    with MongoProxy(args.server, args.port) as proxy:
        control = HttpServer(lambda request: answer_control(proxy.control, request), args.control_port)
        control.start()
        print(json.dumps({"uri": proxy.uri, "control": "http://127.0.0.1:%d" % control.port}), flush=True)
        wait_for_interrupt()
        control.stop()


if __name__ == "__main__":
    main()

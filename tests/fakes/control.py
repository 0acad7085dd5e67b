"""The control interface of the fakes: the same verbs for a test in this process and over HTTP.

`POST /_control` with {"do": "split", "table": "t"} calls Control.split(table="t"); the answer is
{"result": ..}, or {"error": ..} with status 400. Remote gives a test in another process the same methods.
"""
import json
import threading
import urllib.error
import urllib.request


class Faults:
    """The verbs about faults and the log; every public method is a verb, arguments and results are JSON."""

    def __init__(self, script):
        self.script = script

    def do(self, verb, arguments):
        method = getattr(self, verb, None)
        if verb.startswith("_") or verb == "do" or not callable(method):
            raise ValueError("no verb %r" % verb)
        return method(**arguments)

    def fault(self, kind, **parameters):
        return self.script.add(kind, **parameters)

    def faults(self):
        return [f.report() for f in self.script.faults]

    def release(self, id):
        self.script.release(id)

    def clear(self):
        self.script.clear()

    def wait_held(self, id, timeout=90):
        """Whether a request is being held by this fault now."""
        return self.script.wait(lambda: self.script.find(id).held > 0, timeout)

    def wait_used(self, id, timeout=90):
        """Whether the fault has been used up (or, if it has no end, used once)."""
        fault = self.script.find(id)
        return self.script.wait(lambda: fault.hits > 0 and fault.times <= 0, timeout)

    def wait_requests(self, op, count=1, since=0, timeout=90, **where):
        """Whether so many requests of this kind were answered after log entry `since`."""
        def enough():
            done = [e for e in self.script.entries(op, since, **where) if e["end"] is not None]
            return len(done) >= count
        return self.script.wait(enough, timeout)

    def log(self, op=None, since=0):
        return self.script.entries(op, since)

    def requests(self):
        return self.script.requests


class Control(Faults):
    """The verbs of the fake DynamoDB."""

    def __init__(self, backend, script):
        super().__init__(script)
        self.backend = backend

    def set(self, **changes):
        self.backend.settings.change(**changes)

    # The tree of shards

    def split(self, table, shard=None, children=2):
        """Closes a shard (the first open one); the ids of the two that take over."""
        with self.backend.lock:
            stream = self._stream(table)
            found = stream.shard(shard) if shard else stream.open_shards()[0]
            return [s.id for s in stream.divide(found, children)]

    def roll(self, table):
        """Every open shard closes and has one child, as the service does every few hours."""
        with self.backend.lock:
            stream = self._stream(table)
            return [stream.divide(s, 1)[0].id for s in stream.open_shards()]

    def vanish(self, table, shard):
        """The shard is in no answer any more; its children still name it."""
        with self.backend.lock:
            self._stream(table).shard(shard).vanished = True

    def trim(self, table, shard=None, seq=None):
        """Records are gone: all there are now, or of one shard, or up to a number."""
        with self.backend.lock:
            for s in self._stream(table).shards:
                if shard in (None, s.id):
                    s.trim(int(seq) if seq else s.newest())

    def expire_iterators(self):
        self.backend.expire_iterators()

    def new_stream(self, table, view=None):
        """The stream is disabled and another one enabled; its ARN."""
        with self.backend.lock:
            t = self.backend.table(table)
            view = view or t.streams[-1].view
            if t.stream:
                t.stream.disable()
            settings = self.backend.settings
            t.open_stream(view, settings.shards, settings.sequence_step)
            return t.stream.arn

    def disable_stream(self, table):
        with self.backend.lock:
            self._stream(table).disable()

    def recreate(self, table, keep_items=False):
        """The table is deleted and made again: another table id, another stream, empty."""
        with self.backend.lock:
            old = self.backend.table(table)
            old_stream, items = old.stream, [i.attributes for i in old.items.values()]
            self.backend.op_DeleteTable({"TableName": table})
            fields = {"TableName": table, "KeySchema": old.key_schema,
                      "AttributeDefinitions": old.definitions}
            if old_stream:
                fields["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": old_stream.view}
            self.backend.op_CreateTable(fields)
            for item in items if keep_items else []:
                self.backend.op_PutItem({"TableName": table, "Item": item})
            return self.backend.table(table).id

    def ttl_delete(self, table, key):
        self.backend.ttl_delete(table, key)

    # What is there

    def shards(self, table):
        """The tree as it is, also what DescribeStream hides."""
        with self.backend.lock:
            stream = self.backend.table(table).streams[-1]
            return [{"id": s.id, "parent": s.parent, "open": s.end is None, "vanished": s.vanished,
                     "start": str(s.start), "records": len(s.records),
                     "newest": str(s.newest())} for s in stream.shards]

    def history(self, table=None):
        """Every stream record ever made, as it was spelled, in the order of its number."""
        with self.backend.lock:
            return [r for r in self.backend.history if table in (None, r["table"])]

    def items(self, table):
        with self.backend.lock:
            return [i.attributes for i in self.backend.table(table).items.values()]

    def _stream(self, table):
        stream = self.backend.table(table).stream
        if stream is None:
            raise ValueError("table %s has no enabled stream" % table)
        return stream


class Remote:
    """The verbs of a fake in another process: Remote(url).split(table="t")."""

    def __init__(self, url, timeout=60):
        self._url, self._timeout = url.rstrip("/") + "/_control", timeout

    def _call(self, verb, arguments):
        body = json.dumps({"do": verb, **arguments}).encode()
        request = urllib.request.Request(self._url, data=body, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as e:
            raise ValueError(json.load(e)["error"]) from e

    def __getattr__(self, verb):
        if verb.startswith("_"):
            raise AttributeError(verb)
        return lambda **arguments: self._call(verb, arguments)


def wait_for_interrupt():
    """For a command: returns at SIGINT or SIGTERM."""
    import signal
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()

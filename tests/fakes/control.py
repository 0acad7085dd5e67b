"""The control interface of the fakes: the same verbs for a test in this process and over HTTP.

`POST /_control` with {"do": "split", "table": "t"} calls Control.split(table="t"); the answer is
{"result": ..}, or {"error": ..} with status 400. Remote gives a test in another process the same methods.
"""
import json
import threading
import urllib.error
import urllib.request

from .listing import draw


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
            return [s.id for s in stream.divide(found, children, self.backend.now())]

    def roll(self, table):
        """Every open shard closes and has one child, as the service does every few hours."""
        with self.backend.lock:
            stream = self._stream(table)
            now = self.backend.now()
            return [stream.divide(s, 1, now)[0].id for s in stream.open_shards()]

    def hide(self, table, shards, seconds=None, calls=None):
        """DescribeStream does not list these shards, for so long, for so many listings, or until `show`."""
        with self.backend.lock:
            self._latest(table).listing.hide(shards, seconds, calls)

    def hide_some(self, table, chance, seconds):
        """Each shard that there is, with this probability, is not listed for so long (or from .. to)."""
        with self.backend.lock:
            stream, rng = self._latest(table), self.backend.random
            found = [s.id for s in stream.shards if rng.random() < chance]
            for shard in found:
                stream.listing.hide([shard], draw(rng, seconds))
            return found

    def show(self, table, shards=None):
        """They (all) are listed again."""
        with self.backend.lock:
            self._latest(table).listing.show(shards)

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
                t.stream.disable(self.backend.now())
            t.open_stream(view, self.backend.settings, self.backend.random)
            return t.stream.arn

    def disable_stream(self, table):
        with self.backend.lock:
            self._stream(table).disable(self.backend.now())

    def lag(self, table, gone=True, calls=0, seconds=0):
        """DescribeTable goes on for a while as if the table were not there (or as it is now)."""
        with self.backend.lock:
            self.backend.lag(self.backend.table(table), gone, calls, seconds)

    def deleted(self, table):
        """A table that is being deleted is gone."""
        with self.backend.lock:
            if self.backend.tables[table].status != "DELETING":
                raise ValueError("table %s is not being deleted" % table)
            del self.backend.tables[table]

    def recreate(self, table, keep_items=False):
        """The table is deleted and made again: another table id, another stream, empty."""
        with self.backend.lock:
            old = self.backend.table(table)
            old_stream, items = old.stream, [i.attributes for i in old.items.values()]
            self.backend.op_DeleteTable({"TableName": table})
            self.backend.tables.pop(table, None)  # however long deleting takes
            fields = {"TableName": table, "KeySchema": old.key_schema, "AttributeDefinitions": old.definitions}
            if old.read_units:
                fields["ProvisionedThroughput"] = {"ReadCapacityUnits": old.read_units}
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
            stream = self._latest(table)
            return [{"id": s.id, "parent": s.parent, "open": s.end is None, "vanished": s.vanished,
                     "listed": not (s.vanished or stream.listing.lacks(s.id)), "start": str(s.start), "records": len(s.records),
                     "newest": str(s.newest())} for s in stream.shards]

    def history(self, table=None):
        """Every stream record ever made, as it was spelled, in the order of its number."""
        with self.backend.lock:
            return [r for r in self.backend.history if table in (None, r["table"])]

    def items(self, table):
        with self.backend.lock:
            return [i.attributes for i in self.backend.table(table).items.values()]

    def _latest(self, table):
        """The newest stream, also one that is disabled."""
        return self.backend.table(table).streams[-1]

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

"""The proxy holds, loses and falsifies just the commands it is told to."""
import socket
import threading
import time

import pytest
from pymongo import DeleteOne, MongoClient, ReplaceOne
from pymongo.errors import AutoReconnect, BulkWriteError, NotPrimaryError, WriteConcernError

from .mongo_proxy import MongoProxy
from .mongo_wire import make_reply, read_message

HELLO = {"ok": 1.0, "isWritablePrimary": True, "ismaster": True, "maxBsonObjectSize": 16 << 20,
         "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0,
         "maxWireVersion": 17}


class TinyMongo:
    """A server of one collection: replacements, deletes and find, by _id."""

    def __init__(self):
        self.documents, self.lock = {}, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            while request := read_message(sock):
                with self.lock:
                    answer = self.answer(request)
                sock.sendall(make_reply(request, answer).raw)
        except OSError:
            pass  # the client was cut off

    def answer(self, request):
        if request.command.lower() in ("hello", "ismaster"):
            return HELLO
        if request.command == "find":
            batch = list(self.documents.values())
            return {"ok": 1.0, "cursor": {"id": 0, "ns": "db.c", "firstBatch": batch}}
        upserted, n = [], 0
        for index, s in enumerate(request.statements):
            key, n = s["q"]["_id"], n + 1
            if request.command == "delete":
                self.documents.pop(key, None)
                continue
            if key not in self.documents:
                upserted.append({"index": index, "_id": key})
            self.documents[key] = {"_id": key, **s["u"]}
        return {"ok": 1.0, "n": n, **({"nModified": n - len(upserted)} if request.command == "update" else {}),
                **({"upserted": upserted} if upserted else {})}


@pytest.fixture
def server():
    tiny = TinyMongo()
    yield tiny
    tiny.listener.close()


@pytest.fixture
def proxy(server):
    with MongoProxy(server.address) as p:
        yield p


@pytest.fixture
def collection(proxy):
    client = connect(proxy)
    yield client.db.c
    client.close()


def connect(proxy):
    return MongoClient(proxy.uri, retryWrites=False, retryReads=False, serverSelectionTimeoutMS=3000)


def replace(*values):
    return [ReplaceOne({"_id": n}, {"v": v}, upsert=True) for n, v in enumerate(values)]


def test_what_no_fault_is_for_passes_unchanged(collection, proxy):
    result = collection.bulk_write(replace(*range(1500)) + [DeleteOne({"_id": 3})], ordered=False)
    assert (result.upserted_count, result.deleted_count) == (1500, 1)
    assert len(list(collection.find())) == 1499
    entry = proxy.control.log("update")[0]
    assert entry["fields"]["statements"] == 1500 and entry["status"] == "answered"


def test_a_held_write_comes_late_even_when_its_client_is_gone(collection, proxy, server):
    hold = proxy.control.fault("hold", op="update", where={"collection": "c"}, cut=True,
                               predicate=lambda m: m.statements[0]["u"]["v"] == "old")
    with pytest.raises(AutoReconnect):
        collection.bulk_write(replace("old"))
    assert proxy.control.wait_held(hold)
    collection.bulk_write(replace("new"))
    assert server.documents == {0: {"_id": 0, "v": "new"}}
    proxy.control.release(hold)
    assert proxy.control.wait_requests("update", 2)
    assert server.documents == {0: {"_id": 0, "v": "old"}}


def test_a_held_write_is_answered_when_its_client_waited(collection, proxy, server):
    hold = proxy.control.fault("hold", op="update", contains="held text")
    collection.bulk_write(replace("other text"))
    server.documents.clear()
    done = []
    writer = threading.Thread(target=lambda: done.append(collection.bulk_write(replace("held text"))))
    writer.start()
    assert proxy.control.wait_held(hold)
    assert server.documents == {}
    proxy.control.release(hold)
    writer.join(10)
    assert done[0].upserted_count == 1


@pytest.mark.parametrize("when, executed", [("before", False), ("reply", True)])
def test_a_connection_is_cut_before_or_after_the_write(collection, proxy, server, when, executed):
    proxy.control.fault("cut", op="update", when=when)
    with pytest.raises(AutoReconnect):
        collection.bulk_write(replace("x"))
    assert bool(server.documents) == executed
    collection.bulk_write(replace("y"))
    assert server.documents[0]["v"] == "y"


@pytest.mark.parametrize("when, executed", [("before", False), ("reply", True)])
def test_a_write_or_its_answer_comes_late(collection, proxy, server, when, executed):
    late = proxy.control.fault("delay", op="update", seconds=60, when=when)
    writer = threading.Thread(target=lambda: collection.bulk_write(replace("x")))
    writer.start()
    assert proxy.control.wait_used(late)
    deadline = time.monotonic() + 10
    while executed and not server.documents and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bool(server.documents) == executed and writer.is_alive()
    proxy.control.release(late)
    writer.join(10)
    assert server.documents[0]["v"] == "x" and not writer.is_alive()


def test_duplicates_are_refused_one_by_one_and_the_rest_is_written(collection, proxy, server):
    proxy.control.fault("duplicate", op="update", indexes=[0, 2])
    with pytest.raises(BulkWriteError) as e:
        collection.bulk_write(replace("a", "b", "c", "d"), ordered=False)
    details = e.value.details
    assert [(w["index"], w["code"]) for w in details["writeErrors"]] == [(0, 11000), (2, 11000)]
    assert [u["index"] for u in details["upserted"]] == [1, 3]
    assert sorted(server.documents) == [1, 3]


def test_a_statement_is_refused_by_its_text_whichever_command_it_is_in(collection, proxy, server):
    fault = proxy.control.fault("write_error", op="update", contains="bad", text="bad", code=7, message="no",
                                times=-1)
    for values, refused in ((["a", "bad", "c", "too bad"], [1, 3]), (["bad"], [0])):
        with pytest.raises(BulkWriteError) as e:
            collection.bulk_write(replace(*values), ordered=False)
        assert [(w["index"], w["code"]) for w in e.value.details["writeErrors"]] == [(n, 7) for n in refused]
    collection.bulk_write(replace("good"))
    assert proxy.script.find(fault).hits == 2
    assert {n: d["v"] for n, d in server.documents.items()} == {0: "good", 2: "c"}


def test_every_statement_is_refused_when_none_is_named(collection, proxy, server):
    proxy.control.fault("write_error", op="update", code=7, message="no")
    with pytest.raises(BulkWriteError) as e:
        collection.bulk_write(replace("a", "b"), ordered=False)
    assert [w["index"] for w in e.value.details["writeErrors"]] == [0, 1]
    assert server.documents == {}


def test_an_answer_is_changed_by_a_function(collection, proxy):
    def other(body):
        return {**body, "cursor": {**body["cursor"], "firstBatch": [{"_id": "no document of the server"}]}}

    proxy.control.fault("amend", op="find", change=other)
    proxy.control.fault("amend", op="find", document={"beside": "it"})
    assert list(collection.find()) == [{"_id": "no document of the server"}]
    assert list(collection.find()) == []


def test_answers_can_be_falsified(collection, proxy, server):
    proxy.control.fault("not_primary", op="update")
    with pytest.raises(NotPrimaryError):
        collection.bulk_write(replace("x"))
    assert server.documents == {}
    proxy.control.fault("write_concern", op="update")
    with pytest.raises((WriteConcernError, BulkWriteError)):
        collection.bulk_write(replace("x"))
    assert server.documents[0]["v"] == "x"
    proxy.control.fault("write_error", op="update", indexes=[0], code=121, message="no")
    with pytest.raises(BulkWriteError):
        collection.bulk_write(replace("y"))
    proxy.control.fault("reply", op="find", document={"ok": 0.0, "code": 8, "errmsg": "unknown"})
    with pytest.raises(Exception, match="unknown"):
        list(collection.find())


def test_a_refusing_proxy_takes_connections_again(collection, proxy):
    collection.bulk_write(replace("x"))
    proxy.control.refuse()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", proxy.port))
    with pytest.raises(AutoReconnect):
        collection.bulk_write(replace("y"))
    proxy.control.accept()
    client = connect(proxy)
    client.db.c.bulk_write(replace("z"))
    client.close()

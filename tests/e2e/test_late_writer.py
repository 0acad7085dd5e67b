"""A write that reaches MongoDB late must not stay: the damage is repaired without anybody's help.

A proxy holds a real write and forwards it when it is out of date. With healing off (the mutation `heal` of the
test build) the damage is seen to stay; with the shipped program it goes away.
"""

import pytest
from support.bridge import complain
from support.running import stays, wait_until

# Grace: how long a write of unknown outcome may still come. Long enough to release one within it.
MAX_TIME_MS, SOCKET_TIMEOUT_MS = 4000, 6000
GRACE_S = (MAX_TIME_MS + SOCKET_TIMEOUT_MS) / 1000
IDLE_LOOK_S = 5  # an owner without work reads its positions this often
SETTINGS = {
    "convert.type": "change",
    "target.id": "key",
    "target.max_time_ms": MAX_TIME_MS,
    "target.socket.timeout.ms": SOCKET_TIMEOUT_MS,
}
HEALING = pytest.mark.parametrize("healing", [True, False], ids=["healing", "without healing"])


class Late:
    """A table of one partition and one item, whose `mark` grows: what MongoDB has of it, and consumers
    behind proxies."""

    def __init__(self, bridge, proxies, healing):
        self.bridge, self.proxies, self.healing = bridge, proxies, healing
        bridge.settings.update(SETTINGS, **{"topic.partitions": 1})
        self.table = bridge.add_table()
        self.version = 0
        self.put("first")
        bridge.producer()
        bridge.wait_caught_up()

    def put(self, mark):
        self.version += 1
        item = {"pk": {"S": "item"}, "v": {"N": str(self.version)}, "mark": {"S": mark}}
        self.bridge.dynamodb.put_item(TableName=self.table.name, Item=item)

    def mark(self):
        """What a reader of MongoDB sees."""
        document = self.bridge.target()[self.table.name].find_one({"pk": "item"})
        return document and document["mark"]

    def consumer(self, proxy):
        off = {} if self.healing else {"build": "mutation", "env": {"DYNAFERRY_MUTATION": "heal"}}
        address = "%s:%d" % self.bridge.parts.mongo.address
        uri = self.bridge.parts.mongodb.replace(address, proxy.address)
        return self.bridge.consumer({"target.address": uri, "consumer.group": self.bridge.prefix}, **off)

    def hold(self, proxy, mark, **more):
        """Holds the next write of this mark."""
        where = {"collection": self.table.name}
        return proxy.control.fault("hold", op="update", where=where, contains=mark, **more)

    def writes(self, proxy, mark):
        """Commands answered so far that wrote this mark."""
        return [
            e
            for e in proxy.control.log("update")
            if e["end"] and any(s.get("u", {}).get("mark") == mark for s in e["fields"].get("list", ()))
        ]

    def wait_mark(self, mark, seconds=60):
        wait_until(lambda: self.mark() == mark, seconds, f"{mark} in MongoDB", self.bridge.running())

    def release(self, proxy, hold, mark):
        """Lets the held write go and waits until the server has executed it."""
        proxy.control.release(hold)
        # It may have been sent a second time meanwhile, which was not held.
        held = lambda: [e for e in self.writes(proxy, mark) if "hold" in e["faults"]]
        wait_until(held, 20, "the late write")

    def end(self):
        """Healed: MongoDB ends with the newest value, and goes on having it. Not healed: the damage stays
        though every position says that all is applied."""
        if self.healing:
            self.wait_mark("new")
            self.bridge.wait_applied()
            stays(lambda: self.mark() == "new", IDLE_LOOK_S + 1)
            complain(self.bridge.verify_target(self.table, "change", "key"))
        else:
            self.bridge.wait_applied()
            stays(lambda: self.mark() == "old", GRACE_S + IDLE_LOOK_S + 1)


@pytest.fixture
def proxies(parts):
    from fakes.mongo_proxy import MongoProxy

    server = "%s:%d" % parts.mongo.address
    with MongoProxy(server) as one, MongoProxy(server) as two:
        yield one, two


@pytest.fixture
def late(bridge, proxies, request):
    found = Late(bridge, proxies, request.getfixturevalue("healing"))
    yield found
    for proxy in proxies:
        proxy.control.clear()


@HEALING
def test_a_stopped_consumers_write_comes_after_the_take_over(late, healing):
    """It comes so late that the successor has applied everything twice: only the late writer itself can tell."""
    slow, fast = late.proxies
    first = late.consumer(slow)
    late.wait_mark("first")
    hold = late.hold(slow, "old")
    late.put("old")
    assert slow.control.wait_held(hold)
    first.hang()
    late.put("new")
    late.consumer(fast)
    late.wait_mark("new")
    if healing:
        wait_until(lambda: len(late.writes(fast, "new")) >= 2, GRACE_S + 30, "the second application")
    late.release(slow, hold, "old")
    assert late.mark() == "old", "the write was not late"
    first.go_on()
    late.end()


@HEALING
def test_a_killed_consumers_write_comes_after_the_take_over(late, healing):
    """Nobody is left to tell: the successor applies once more when the grace is over."""
    slow, fast = late.proxies
    first = late.consumer(slow)
    late.wait_mark("first")
    hold = late.hold(slow, "old")
    late.put("old")
    assert slow.control.wait_held(hold)
    first.kill9()
    late.put("new")
    late.consumer(fast)
    late.wait_mark("new")
    wait_until(lambda: late.writes(fast, "new"), 20, "the answer to the write that is seen already")
    assert len(late.writes(fast, "new")) == 1, "the grace was over before the write could be late"
    late.release(slow, hold, "old")
    late.end()


@HEALING
def test_a_cut_connections_write_still_executes(late, healing):
    """The consumer can't know whether the write was executed, nor when: it holds its position and waits."""
    proxy, _ = late.proxies
    late.consumer(proxy)
    late.wait_mark("first")
    late.bridge.wait_applied()  # the position comes after the document
    first = late.bridge.log(late.table)[-1].offset
    hold = late.hold(proxy, "old", cut=True)
    late.put("old")
    assert proxy.control.wait_held(hold)
    late.put("new")
    late.bridge.wait_caught_up()
    if healing:
        # Not "where it was": passing the transaction's end marker behind the first record moves it too.
        unknown = next(r.offset for r in late.bridge.log(late.table) if r.offset > first)
        position = late.bridge.position(late.table, 0)["offset"]
        assert position <= unknown, "moved over a write of unknown outcome"
        assert not late.writes(proxy, "new"), "a newer write went past one of unknown outcome"
    else:
        late.wait_mark("new")
    late.release(proxy, hold, "old")
    late.end()


@pytest.mark.parametrize("healing", [True])
def test_a_reply_that_is_lost_is_asked_for_again(late, healing):
    proxy, _ = late.proxies
    late.consumer(proxy)
    late.wait_mark("first")
    lost = proxy.control.fault("cut", op="update", when="reply", where={"collection": late.table.name})
    late.put("old")
    assert proxy.control.wait_used(lost)
    late.put("new")
    late.end()

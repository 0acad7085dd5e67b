"""What a failing MongoDB answers: errors of the transport are waited out, nothing is lost or given up."""

import pytest
from running import wait_until

FAULTS = {
    "duplicate keys": [{"kind": "duplicate", "indexes": [0, 3]}],
    "not primary": [{"kind": "not_primary"}],
    "write concern": [{"kind": "write_concern"}],
    "cut": [{"kind": "cut", "when": "before"}, {"kind": "cut", "when": "reply"}],
    "unknown": [{"kind": "reply", "document": {"ok": 0.0, "code": 8, "errmsg": "?"}}],
}
WRITES = ("update", "delete", "findAndModify")


@pytest.fixture
def proxy(parts):
    from fakes.mongo_proxy import MongoProxy

    with MongoProxy("%s:%d" % parts.mongo.address) as found:
        yield found


@pytest.fixture
def ferry(bridge, proxy):
    """A bridge whose consumer comes through the proxy, and has a grace of a second."""
    address = "%s:%d" % bridge.parts.mongo.address
    bridge.settings["target.address"] = bridge.parts.mongodb.replace(address, proxy.address)
    bridge.settings.update({"target.max_time_ms": 500, "target.socket.timeout.ms": 500})
    bridge.proxy = proxy
    yield bridge
    proxy.control.clear()


def run_beside(ferry, seed, faults):
    table = ferry.add_table()
    writer = ferry.writer(table, seed=seed, keys=60, rate=100)
    writer.fill()
    ferry.producer()
    ferry.consumer()
    ferry.wait_caught_up()
    ferry.wait_applied()
    writer.start()
    faults()
    goal = writer.written + 50
    wait_until(lambda: writer.written >= goal, 60, "writes after the faults", ferry.running())
    ferry.settle(120)
    ferry.verify()


@pytest.mark.parametrize("name", FAULTS)
def test_answers_of_a_failing_server_lose_nothing(ferry, name):
    def faults():
        ids = [
            ferry.proxy.control.fault(op=op, times=4, skip=2, **fault) for fault in FAULTS[name] for op in WRITES[:2]
        ]
        update = [ferry.proxy.script.find(number) for number in ids[::2]]
        wait_until(lambda: all(f.hits for f in update), 60, "each fault once", ferry.running())
        wait_until(lambda: all(f.times == 0 for f in update), 60, "the faults to be used up", ferry.running())

    run_beside(ferry, 61, faults)


def test_a_server_that_is_away_is_waited_for(ferry):
    def away():
        for _ in range(3):
            ferry.proxy.control.refuse()
            seen = ferry.ledger()[0]
            wait_until(lambda: ferry.ledger()[0] != seen, 30, "the producer to go on alone", ferry.running())
            ferry.proxy.control.accept()
            before = ferry.proxy.control.requests()
            wait_until(
                lambda: len(ferry.proxy.control.log("update", since=before)) > 3, 60, "writes", ferry.running()
            )

    run_beside(ferry, 62, away)

"""What a failing MongoDB answers: errors of the transport are waited out, nothing is lost or given up."""

import pytest
from support.refusing import proxy  # noqa: F401 (a fixture)
from support.running import wait_until

STEPPING_DOWN = {"ok": 0.0, "code": 11602, "codeName": "InterruptedDueToReplStateChange", "errmsg": "."}
SHUTTING_DOWN = {"ok": 0.0, "code": 91, "codeName": "ShutdownInProgress", "errmsg": "."}
FAULTS = {
    "duplicate keys": [{"op": "update", "kind": "duplicate", "indexes": [0, 3]}],
    "not primary": [{"op": op, "kind": "not_primary"} for op in ("update", "delete")],
    "write concern": [{"op": op, "kind": "write_concern"} for op in ("update", "delete")],
    "cut": [{"op": "update", "kind": "cut", "when": when} for when in ("before", "reply")],
    "away": [{"op": "update", "kind": "reply", "document": d} for d in (STEPPING_DOWN, SHUTTING_DOWN)],
}


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
        ids = [ferry.proxy.control.fault(times=3, skip=2, **fault) for fault in FAULTS[name]]
        found = [ferry.proxy.script.find(number) for number in ids]
        wait_until(lambda: all(f.times == 0 for f in found), 60, "the faults to be used up", ferry.running())

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

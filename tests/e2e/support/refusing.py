"""What the tests of a refusing target share: a bridge whose consumers come through a proxy, halts."""

import re

import pytest

from .running import wait_until

UNKNOWN_CODE = 7654321  # of no server that is known
ONE_PARTITION = {"topic.partitions": 1}


@pytest.fixture
def proxy(parts):
    from fakes.mongo_proxy import MongoProxy

    with MongoProxy("%s:%d" % parts.mongo.address) as found:
        yield found


@pytest.fixture
def ferry(bridge, proxy):
    """A bridge whose consumers come through the proxy, which is at `ferry.proxy`."""
    bridge.settings["target.address"] = proxy.uri
    bridge.proxy = proxy
    yield bridge
    proxy.control.clear()


def put(bridge, table, pk, **attributes):
    item = {"pk": {"S": pk}, "v": {"N": "1"}, **attributes}
    bridge.dynamodb.put_item(TableName=table.name, Item=item)


def fill(bridge, table, count, version=1):
    for n in range(count):
        put(bridge, table, f"k{n}", v={"N": str(version)})


def find(bridge, fault):
    return bridge.proxy.script.find(fault)


def about(name):
    """A predicate: the command names this collection, whatever it is about."""
    return lambda request: name in str(request.body)


def about_table(table):
    """A predicate: the command names this table's collection or topic, and not one whose name goes on."""
    named = re.compile(re.escape(table.name) + r"(?!\d)")
    return lambda request: named.search(str(request.body))


def refused(code, message="."):
    return {"ok": 0.0, "code": code, "errmsg": message}


def letters_of(bridge, table):
    letters, problems = bridge.dead_letters()
    assert not problems, problems
    return [letter for letter in letters if letter["table"] == table.name]


def lines(program, text, *more):
    return [line for line in program.log().splitlines() if all(part in line for part in (text, *more))]


def told(program, state, table):
    """The lines that tell a state of this table."""
    named = re.compile(rf"table={re.escape(table.name)}(?!\S)")
    return [line for line in lines(program, state) if named.search(line)]


def failed(program, table):
    return program.metric("dynaferry_consumer_table_halted", table=table.name)


def wait_halted(consumer, table, state="table halted", seconds=60):
    """The halt: in the log with its reason, in the metrics and in the health. The line of the log."""
    what = f"{state}: {table.name}"
    wait_until(lambda: told(consumer, state, table), seconds, what, [consumer])
    wait_until(lambda: failed(consumer, table) == 1, 20, "the metric of a failed table", [consumer])
    wait_until(lambda: unhealthy(consumer, table), 20, f"/healthz to name {table.name}", [consumer])
    return told(consumer, state, table)[-1]


def unhealthy(consumer, table):
    status, text = consumer.get("/healthz")
    return status == 503 and re.search(re.escape(table.name) + r"(?![\w.-])", text)


def wait_well(consumer, tables, seconds=60):
    """Nothing is left of a halt."""
    well = lambda: consumer.get("/healthz")[0] == 200 and not any(failed(consumer, t) for t in tables)
    wait_until(well, seconds, "the health to come back", [consumer])

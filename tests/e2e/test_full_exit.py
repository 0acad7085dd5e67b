"""sync_mode = full ends with 0 only when the snapshot of every wanted table is committed, else it names those that
are not."""

import confluent_kafka.admin
import pytest
from support.oracle import KeySchema
from support.running import stays, wait_until

HALTS = {"on_gap": "fail"}
FULL = {"sync_mode": "full", "start.timeout": 3, "source.doubt.ms": 300}


def put(bridge, *tables):
    for table in tables:
        item = {name: {kind: "1"} for name, kind in zip(table.key_schema.names, table.key_schema.types)}
        bridge.dynamodb.put_item(TableName=table.name, Item=item)


def ends_with(producer, code, *words):
    """The exit code, and the words in the last line."""
    assert producer.wait(60) == code, producer.story()
    last = producer.log().splitlines()[-1]
    assert all(word in last for word in words), producer.story()


def by_producer(request):
    return "Boto3" not in request.headers.get("user-agent", "")


def deny(bridge, operation, table):
    where = {"TableName": table.name}
    bridge.fake.control.fault("access_denied", op=operation, where=where, times=-1, predicate=by_producer)


def copied(bridge, table):
    ledger, _ = bridge.ledger()
    return ledger[f"table/{table.name}"]["finished_ms"] > 0 and sum(r.is_row for r in bridge.log(table)) == 1


def test_no_table_at_all(scripted):
    producer = scripted.producer({**FULL, "filter.collection.white": None})
    ends_with(producer, 1, "no table")


def test_a_black_list_that_leaves_nothing(scripted):
    table = scripted.add_table()
    settings = {**FULL, "filter.collection.white": None, "filter.collection.black": table.name}
    ends_with(scripted.producer(settings), 1, "no table")


@pytest.mark.parametrize("operation", ["DescribeTable", "Scan"])
def test_a_denied_table(scripted, operation):
    good, bad = scripted.add_table(), scripted.add_table()
    put(scripted, good, bad)
    deny(scripted, operation, bad)
    ends_with(scripted.producer(FULL), 77, bad.name, "1 of 2")
    assert copied(scripted, good)
    scripted.fake.control.clear()
    ends_with(scripted.producer(FULL), 0)
    assert copied(scripted, bad)


def test_a_failed_table(scripted):
    """A compacted topic takes no table with a sort key."""
    good, bad = scripted.add_table(), scripted.add_table(KeySchema(("pk", "sk"), ("S", "N")))
    put(scripted, good, bad)
    topic = confluent_kafka.admin.NewTopic(scripted.topic(bad), 4, 1, config={"cleanup.policy": "compact"})
    for future in scripted.admin.create_topics([topic]).values():
        future.result()
    ends_with(scripted.producer(FULL), 1, bad.name, "1 of 2")
    assert copied(scripted, good)


def test_a_table_that_is_deleted_meanwhile(scripted):
    good, gone = scripted.add_table(), scripted.add_table()
    put(scripted, good, gone)
    held = scripted.fake.control.fault("hold", op="Scan", where={"TableName": gone.name}, predicate=by_producer)
    producer = scripted.producer(FULL)
    assert scripted.fake.control.wait_held(held)
    scripted.dynamodb.delete_table(TableName=gone.name)
    scripted.fake.control.release(held)
    ends_with(producer, 1, gone.name, "1 of 2")
    assert copied(scripted, good)


def test_a_table_that_is_halted_in_a_gap(scripted):
    table = scripted.add_table()
    put(scripted, table)
    producer = scripted.producer(HALTS)
    wait_until(lambda: scripted.phase(table) == "tail", 60, "the tail", [producer])
    producer.sigterm()
    scripted.fake.control.new_stream(table=table.name)
    producer = scripted.producer(HALTS)
    wait_until(lambda: scripted.phase(table) == "gap", 60, "the gap", [producer])
    producer.sigterm()
    ends_with(scripted.producer({**FULL, **HALTS}), 1, table.name, "gap")


def test_names_that_collide(scripted):
    good, bad = scripted.add_table(name="a.b"), scripted.add_table(name="a_b")
    put(scripted, good, bad)
    ends_with(scripted.producer(FULL), 78, bad.name, "collides", "1 of 2")
    assert copied(scripted, good)


def test_a_white_listed_table_that_does_not_exist(scripted):
    good = scripted.add_table()
    put(scripted, good)
    ends_with(scripted.producer({**FULL, "filter.collection.white": f"{good.name};nobody"}), 1, "nobody")
    assert copied(scripted, good)


def test_a_table_whose_owner_dies_before_it_repeats_it_is_repeated_by_the_other(scripted):
    """The record of the former run says that it is finished. Partitions go to instances in the order of their names."""
    one, two = scripted.add_table(name="one"), scripted.add_table(name="two")
    put(scripted, one, two)
    ends_with(scripted.producer(FULL), 0)
    before = {t.name: scripted.ledger()[0][f"table/{t.name}"]["generation"] for t in (one, two)}
    assert [scripted.ledger()[0][f"place/{t.name}"]["partition"] for t in (one, two)] == [0, 1]
    denied = {"one", "two"}
    for table in one, two:
        predicate = lambda request, name=table.name: name in denied and by_producer(request)
        where = {"TableName": table.name}
        scripted.fake.control.fault("access_denied", op="DescribeTable", where=where, times=-1, predicate=predicate)
    settings = {"sync_mode": "full", "source.doubt.ms": 300}
    first, second = (scripted.producer({**settings, "instance.id": name}) for name in "ab")
    share = lambda p: [line for line in p.log().splitlines() if "partitions assigned" in line][-1:]
    shared = lambda: all("count=2" in line for p in (first, second) for line in share(p) or [""])
    wait_until(shared, 60, "both to have a share", [first, second])
    denied.remove("two")

    def repeated(table):
        record = scripted.ledger()[0][f"table/{table.name}"]
        return record["generation"] > before[table.name] and record["finished_ms"] > 0

    wait_until(lambda: repeated(two), 60, "the second's table", [first, second])
    stays(lambda: second.running, 3)
    first.kill9()
    denied.clear()
    ends_with(second, 0)
    assert repeated(one)

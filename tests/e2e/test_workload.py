"""A random workload of everything DynamoDB can store arrives in MongoDB as the oracle says."""

import pytest
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until
from support.topic_check import check_rows

TARGETS = [("raw", "objectid"), ("raw", "key"), ("change", "objectid"), ("change", "key")]


def test_everything_arrives_in_each_conversion_and_identity(bridge):
    """Seven tables of every kind of key; one log feeds four targets."""
    bridge.add_all_tables()
    for table in bridge.tables:
        bridge.writer(table, seed=1, keys=60, rate=12).fill()
    bridge.producer()
    databases = {}
    for convert_type, target_id in TARGETS:
        name = f"{bridge.database}_{convert_type}_{target_id}"
        databases[name] = convert_type, target_id
        bridge.consumer({"id": name, "convert.type": convert_type, "target.id": target_id})
    for writer in bridge.writers:
        writer.start()
    for writer in bridge.writers:
        wait_until(lambda: writer.written >= 100, 180, f"writes to {writer.table.name}", bridge.running())
    bridge.settle(120, databases)
    problems = []
    for table in bridge.tables:
        problems += bridge.verify_log(table)
        problems += bridge.verify_dead_letters(table, "raw")
        for name, (convert_type, target_id) in databases.items():
            problems += bridge.verify_target(table, convert_type, target_id, database=name)
    complain(problems)
    for program in bridge.programs:
        program.sigterm()


def test_the_largest_and_deepest_items_arrive(bridge):
    """As rows and as changes: 32 levels, 400 KB of empty strings, which is 8 MB of BSON, and the like."""
    table = bridge.add_table(KeySchema(("pk",), ("S",)))
    writer = bridge.writer(table, seed=9, keys=10, refused=0)
    writer.put_special()
    bridge.producer()
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    writer.put_special()
    bridge.wait_caught_up()
    problems = bridge.verify_log(table)
    # The test's server takes seconds for one of them, and one at a time.
    settings = {"target.socket.timeout.ms": 60000, "target.max_time_ms": 60000}
    for convert_type, target_id in ("raw", "objectid"), ("change", "key"):
        name = f"{bridge.database}_{convert_type}"
        more = {"id": name, "convert.type": convert_type, "target.id": target_id}
        consumer = bridge.consumer(settings | more)
        bridge.wait_applied(120, database=name)
        consumer.sigterm(60)
        problems += bridge.verify_target(table, convert_type, target_id, database=name)
    complain(problems + bridge.verify_dead_letters(table, "raw"))


def test_neighbouring_keys_of_19_and_38_digits_over_many_pages(bridge):
    """As doubles they would be one key; a scan page ends at any of them."""
    table = bridge.add_table(KeySchema(("pk",), ("N",)))
    bridge.writer(table, seed=2, keys=1000).fill(padding=4000)
    bridge.producer({"full.read.concurrency": 2})
    bridge.consumer({"convert.type": "change"})
    bridge.settle()
    bridge.verify("change")


@pytest.mark.asan
@pytest.mark.parametrize(
    "convert_type,target_id",
    [("raw", "objectid"), pytest.param("change", "key", marks=pytest.mark.tsan)],
)
def test_a_snapshot_and_its_changes_arrive(bridge, convert_type, target_id):
    table = bridge.add_table(KeySchema(("pk", "sk"), ("S", "N")))
    writer = bridge.writer(table, seed=3, keys=100, rate=50, refused=0.1)
    writer.fill()
    settings = {"convert.type": convert_type, "target.id": target_id}
    bridge.producer(settings)
    bridge.consumer(settings)
    bridge.wait_caught_up()
    writer.start()
    wait_until(lambda: writer.written >= 250, 60, "writes", bridge.running())
    bridge.settle()
    bridge.verify(convert_type, target_id)
    assert bridge.dead_letters()[0], "the workload made no refused item"
    for program in bridge.programs:
        program.sigterm()


def test_all_numbers_become_doubles_but_the_keys(bridge):
    table = bridge.add_table(KeySchema(("pk",), ("N",)))
    bridge.writer(table, seed=4, keys=80).fill()
    settings = {"convert.type": "change", "convert.number": "double"}
    bridge.producer(settings)
    bridge.consumer(settings)
    bridge.settle()
    complain(bridge.verify_target(table, "change", number="double"))
    bridge.consumer({"convert.type": "mchange", "id": bridge.database + "_m"})
    bridge.wait_applied(database=bridge.database + "_m")
    complain(bridge.verify_target(table, "mchange", database=bridge.database + "_m"))


def test_an_attribute_called_id_goes_by_its_own_prefix(bridge):
    table = bridge.add_table(KeySchema(("_id", "sk"), ("S", "N")))
    bridge.writer(table, seed=5, keys=80).fill()
    settings = {"convert.type": "change", "convert._id": "my"}
    bridge.producer(settings)
    bridge.consumer(settings)
    bridge.settle()
    bridge.verify("change", id_prefix="my")


def test_a_key_that_cannot_be_indexed_becomes_the_identity(bridge):
    """A key attribute with a dot: the table gets target.id = key by itself."""
    table = bridge.add_table(KeySchema(("p.k", "s.k"), ("S", "B")))
    writer = bridge.writer(table, seed=6, keys=60, rate=50)
    writer.fill()
    bridge.producer()
    bridge.consumer({"convert.type": "change", "target.id": "objectid"})
    writer.start()
    wait_until(lambda: writer.written >= 150, 60, "writes", bridge.running())
    bridge.settle()
    bridge.verify("change", "key")


def test_the_primary_key_is_indexed_and_unique(bridge):
    table = bridge.add_table(KeySchema(("_id", "sk"), ("S", "N")))
    bridge.writer(table, seed=7, keys=20).fill()
    bridge.producer()
    databases = {bridge.database + "_raw": "raw", bridge.database + "_change": "change"}
    for name, convert_type in databases.items():
        bridge.consumer({"id": name, "convert.type": convert_type, "target.id": "objectid"})
    bridge.settle(60, databases)
    expected = {"raw": [("pre_id.S", 1), ("sk.N", 1)], "change": [("pre_id", 1), ("sk", 1)]}
    for name, convert_type in databases.items():
        indexes = bridge.target(name)[table.name].index_information().values()
        unique = [index["key"] for index in indexes if index.get("unique")]
        assert expected[convert_type] in unique, list(indexes)


def test_a_row_of_the_snapshot_is_no_change(bridge):
    """What was there before the stream comes as rows, each once, though several segments are read."""
    table = bridge.add_table(KeySchema(("pk",), ("B",)), stream=None)
    bridge.writer(table, seed=8, keys=300).fill()
    bridge.producer({"full.read.concurrency": 4})
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    log = bridge.log(table)
    assert sum(record.is_row for record in log) == 300
    assert not [record for record in log if record.is_change]
    complain(check_rows(log, bridge.source(table)))
    assert bridge.source(table).changes == []

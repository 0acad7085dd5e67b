"""Names that two share by mistake: one prefix for two sources, one prefix with different filters, a ledger topic that
somebody made by hand. Whoever is a stranger is refused by name; what nobody carries is said."""

import confluent_kafka.admin
import pytest
from fakes.dynamodb import FakeDynamoDB
from fakes.http_wire import HttpServer
from fakes.kafka_proxy import KafkaProxy
from support.bridge import Bridge, complain
from support.running import wait_until


def put(bridge, table, key="1"):
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": key}})


def wait_tail(bridge, table):
    wait_until(lambda: bridge.phase(table) == "tail", 60, f"{table.name} in its tail", bridge.running())


def wait_in_log(bridge, table, key):
    there = lambda: any(r.keys["pk"] == {"S": key} for r in bridge.log(table) if r.is_row or r.is_change)
    wait_until(there, 60, f"{key} in the topic of {table.name}", bridge.running())


@pytest.fixture
def other(parts, directory, scripted):
    """A second source whose user has left the prefix as it is."""
    with FakeDynamoDB() as fake:
        (directory / "other").mkdir()
        bridge = Bridge(parts, directory / "other", fake.url, (fake.access_key, fake.secret_key))
        bridge.prefix = bridge.settings["topic.prefix"] = scripted.prefix
        bridge.fake = fake
        yield bridge
        complain(bridge.close())


def test_a_second_source_with_the_same_prefix_is_refused(scripted, other):
    mine, theirs = scripted.add_table(name="orders"), other.add_table(name="orders")
    put(scripted, mine, "mine")
    put(other, theirs, "theirs")
    producer = scripted.producer()
    wait_tail(scripted, mine)
    stranger = other.run("producer")
    assert stranger.process.returncode == 78, stranger.story()
    last = stranger.log().splitlines()[-1]
    assert scripted.source_url in last and other.source_url in last and "topic.prefix" in last
    put(scripted, mine, "later")
    wait_in_log(scripted, mine, "later")
    assert {r.keys["pk"]["S"] for r in scripted.log(mine) if r.is_row or r.is_change} == {"mine", "later"}
    assert producer.get("/healthz")[0] == 200, producer.get("/healthz")[1]


def test_of_two_sources_that_start_together_one_is_refused(scripted, other):
    tables = scripted.add_table(name="orders"), other.add_table(name="orders")
    for bridge, table, owner in zip((scripted, other), tables, ("mine", "theirs")):
        put(bridge, table, owner)
    producers = [scripted.producer(), other.producer()]
    wait_until(lambda: not all(p.running for p in producers), 60, "one to be refused")
    refused = [p for p in producers if not p.running]
    assert len(refused) == 1 and refused[0].process.returncode == 78, "\n".join(p.story() for p in producers)
    kept, table, owner = (scripted, tables[0], "mine") if refused[0] is producers[1] else (other, tables[1], "theirs")
    wait_tail(kept, table)
    put(kept, table, "later")
    wait_in_log(kept, table, "later")
    assert {r.keys["pk"]["S"] for r in kept.log(table) if r.is_row or r.is_change} == {owner, "later"}


def test_an_emulator_that_moved_to_another_port_is_the_same_source(scripted):
    table = scripted.add_table()
    put(scripted, table)
    first = scripted.producer()
    wait_tail(scripted, table)
    first.sigterm()
    assert scripted.ledger()[0]["source"]["endpoint"].rstrip("/") == scripted.fake.url
    door = HttpServer(scripted.fake._handle, 0)
    door.start()
    try:
        url = f"http://127.0.0.1:{door.port}"
        second = scripted.producer({"source.endpoint_url": url})
        put(scripted, table, "2")
        wait_in_log(scripted, table, "2")
        renewed = lambda: scripted.ledger()[0]["source"]["endpoint"].rstrip("/") == url
        wait_until(renewed, 30, "the record to be renewed", [second])
        assert len({r.generation for r in scripted.log(table)}) == 1
        second.sigterm()
    finally:
        door.stop()


def test_another_spelling_of_one_endpoint_waits_until_a_table_proves_it(scripted):
    """The ledger names no table's id while tables may not be described: not known is not another's."""
    tables = [scripted.add_table() for _ in range(4)]  # one in each ledger partition
    deny = dict(op="DescribeTable", times=-1, predicate=lambda r: "Boto3" not in r.headers.get("user-agent", ""))
    scripted.fake.control.fault("access_denied", **deny)
    first = scripted.producer()
    placed = lambda: all(f"place/{t.name}" in scripted.ledger()[0] for t in tables)
    wait_until(placed, 60, "the places", [first])
    door = HttpServer(scripted.fake._handle, 0)
    door.start()
    try:
        settings = {"source.endpoint_url": f"http://127.0.0.1:{door.port}", "health.limit.ms": 1000}
        second = scripted.producer(settings)
        named = lambda: "stuck: source: " in second.get("/healthz")[1]
        wait_until(named, 60, "the source to be named", [first, second])
        scripted.fake.control.clear()
        wait_until(lambda: not named(), 60, "the source to be known", [first, second])
        for table in tables:
            put(scripted, table)
            wait_in_log(scripted, table, "1")
        first.sigterm()
        second.sigterm()
    finally:
        door.stop()


def test_producers_of_one_prefix_with_different_filters_carry_their_tables_or_say_so(scripted):
    tables = [scripted.add_table(name=name) for name in ("one", "two")]
    producers = {t.name: scripted.producer({"filter.collection.white": t.name}) for t in tables}

    def settled(table):
        """Carried by who wants it, or named by who wants it with the place of it."""
        ledger, _ = scripted.ledger()
        partition = ledger.get(f"place/{table.name}", {}).get("partition")
        if partition is None:
            return None
        carrier = ledger.get(f"carrier/{partition}", {}).get("white")
        status, text = producers[table.name].get("/healthz")
        if carrier == table.name:
            return status == 200 and ledger.get(f"table/{table.name}", {}).get("phase") == "tail" and "carried"
        named = status == 503 and f"table {table.name}" in text and f"ledger partition {partition}" in text
        return named and "named"

    for table in tables:
        wait_until(lambda: settled(table), 60, f"{table.name} to be carried or named", producers.values())
    for table in tables:
        if settled(table) == "carried":
            put(scripted, table, "later")
            wait_in_log(scripted, table, "later")


def test_an_instance_beyond_the_partitions_says_that_nobody_places_its_table(scripted):
    """Of instances with names of their own the first in their order has the partition."""
    one, two = scripted.add_table(name="one"), scripted.add_table(name="two")
    scripted.settings.update({"ledger.partitions": 1, "health.limit.ms": 1000})
    first = scripted.producer({"filter.collection.white": "one", "instance.id": "a"})
    wait_tail(scripted, one)
    second = scripted.producer({"filter.collection.white": "two", "instance.id": "b"})
    named = lambda: [line for line in second.get("/healthz")[1].splitlines() if line.startswith("stuck: placement: ")]
    wait_until(named, 60, "the placement to be named", [first, second])
    assert f"table {two.name} " in named()[0]
    first.sigterm()  # and now it has the partition
    wait_tail(scripted, two)
    wait_until(lambda: second.get("/healthz")[0] == 200, 30, "health", [second])


def test_narrower_filters_of_a_single_producer_are_healthy(scripted):
    kept, left = scripted.add_table(name="kept"), scripted.add_table(name="left")
    first = scripted.producer()
    for table in kept, left:
        wait_tail(scripted, table)
    first.sigterm()
    second = scripted.producer({"filter.collection.white": "kept"})
    put(scripted, left)
    put(scripted, kept)
    wait_in_log(scripted, kept, "1")
    wait_until(lambda: second.get("/healthz")[0] == 200, 30, "health", [second])
    assert not any(r.is_change for r in scripted.log(left))


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_ledger_topic_that_drops_records_is_refused(scripted, policy):
    scripted.add_table()
    ledger = f"{scripted.prefix}-ledger"
    topic = confluent_kafka.admin.NewTopic(ledger, 4, 1, config={"cleanup.policy": policy})
    for future in scripted.admin.create_topics([topic]).values():
        future.result()
    producer = scripted.run("producer")
    assert producer.process.returncode == 78, producer.story()
    last = producer.log().splitlines()[-1]
    assert ledger in last and "cleanup.policy" in last and "compact" in last


@pytest.mark.parametrize("setting", ["cleanup.policy", "segment.bytes", "max.compaction.lag.ms"])
def test_a_ledger_topic_of_which_the_brokers_do_not_tell_a_setting_is_taken(scripted, setting):
    """Older Kafka, and others that speak its protocol."""
    table = scripted.add_table()
    with KafkaProxy(scripted.parts.kafka) as proxy:
        proxy.untold = [setting]
        producer = scripted.producer({"kafka.bootstrap.servers": proxy.address, "start.timeout": 10})
        wait_tail(scripted, table)
        lines = [line for line in producer.log().splitlines() if "can't be checked" in line]
        assert len(lines) == 1 and setting in lines[0], producer.story()
        producer.sigterm()

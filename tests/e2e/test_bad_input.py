"""Bad input: a clear error that names the thing, the right exit code or the dead-letter topic, nothing lost."""

import base64
import subprocess

import confluent_kafka.admin
import pytest
from support import topic_check
from support.bridge import complain
from support.oracle import KeySchema, message_key
from support.running import bin_dir, free_port, wait_until

ROLES = ["producer", "consumer"]


def ended(bridge, role, code, settings=(), arguments=(), seconds=30, **more):
    """Runs a program that must end with this code; its log."""
    program = bridge.run(role, settings, arguments, seconds, **more)
    assert program.process.returncode == code, program.story()
    return program.log()


# --- command line and configuration ---


BAD_LINES = [
    ("no.such.key = 1", ["no.such.key"]),
    ("sync_mod = all", ["sync_mod", "sync_mode"]),
    ("sync_mode = sometimes", ["sync_mode", "sometimes", "incr"]),
    ("topic.partitions = many", ["topic.partitions", "many"]),
    ("topic.partitions = 0", ["topic.partitions"]),
    ("convert.type = xml", ["convert.type", "mchange"]),
    ("topic.prefix = a.b", ["topic.prefix", "dot"]),
    ("sync_schema_only = true", ["sync_schema_only", "filter.collection.white"]),
    ("full.read.filter_expression = a = :a", ["full.read.filter_expression", "filter.collection.white"]),
    ("kafka.isolation.level = read_uncommitted", ["kafka.isolation.level"]),
    ("kafka.no.such.property = 1", ["no.such.property"]),
    ("just some words", []),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("line,named", BAD_LINES, ids=[line for line, _ in BAD_LINES])
def test_a_bad_line_is_named_with_its_file_and_number(bridge, role, line, named):
    conf = bridge.conf()
    lines = conf.read_text().splitlines()
    key = line.partition("=")[0].strip()
    lines = [old for old in lines if old.partition("=")[0].strip() != key]
    conf.write_text("\n".join([*lines, line]) + "\n")
    log = ended(bridge, role, 78, conf=conf)
    assert all(word in log for word in named), log
    if not key.startswith("kafka."):
        assert f"{conf.name}:{len(lines) + 1}" in log, log


BAD_ARGUMENTS = [
    ["--frobnicate"],
    ["stray"],
    ["--set"],
    ["--set", "sync_mode"],
    ["--set", "no.such.key=1"],
    ["--conf"],
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=" ".join)
def test_a_bad_command_line_is_usage(bridge, role, arguments):
    log = ended(bridge, role, 64, arguments=arguments)
    assert "--set" in log if "--set" in arguments else arguments[0] in log


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_file_is_named(bridge, role):
    assert "no-such.conf" in ended(bridge, role, 78, conf=bridge.directory / "no-such.conf")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "option,shown",
    [("--help", "--print-config"), ("--version", "dynaferry-"), ("--print-config", "topic.prefix")],
)
def test_what_only_prints_ends_well_and_shows_no_secret(bridge, role, option, shown):
    command = [bin_dir() / f"dynaferry-{role}", "--conf", bridge.conf(), option]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, timeout=20, env={})
    assert done.returncode == 0
    assert shown in done.stdout
    assert bridge.secret_key not in done.stdout


@pytest.mark.parametrize("option", ["w=1", "w=0", "journal=false&w=1"])
def test_a_weak_write_concern_is_refused(bridge, option):
    log = ended(bridge, "consumer", 78, {"target.address": f"{bridge.parts.mongodb}/?{option}"})
    assert "majority" in log or "write concern" in log


def test_a_password_never_shows(bridge):
    address = f"mongodb://someone:hushHush123@127.0.0.1:{free_port()}/?authSource=admin"
    log = ended(bridge, "consumer", 69, {"target.address": address, "start.timeout": 2})
    assert "hushHush123" not in log


# --- parts that are not there, rights that are missing ---


UNREACHABLE = [
    ("producer", "kafka.bootstrap.servers", "127.0.0.1:{port}"),
    ("producer", "source.endpoint_url", "http://127.0.0.1:{port}"),
    ("consumer", "kafka.bootstrap.servers", "127.0.0.1:{port}"),
    ("consumer", "target.address", "mongodb://127.0.0.1:{port}"),
]


@pytest.mark.parametrize("role,key,value", UNREACHABLE, ids=[f"{r}-{k}" for r, k, _ in UNREACHABLE])
def test_an_unreachable_part_is_named(bridge, role, key, value):
    bridge.add_table()
    port = free_port()
    log = ended(bridge, role, 69, {key: value.format(port=port), "start.timeout": 6})
    assert f"127.0.0.1:{port}" in log


def test_wrong_credentials_are_named(scripted):
    scripted.add_table()
    log = ended(scripted, "producer", 77, {"source.secret_access_key": "notTheRightOne"})
    assert "notTheRightOne" not in log
    assert scripted.access_key in log or "InvalidSignature" in log or "credentials" in log


def wait_refused(bridge, table, program, reason):
    """In the ledger, and then in the log."""
    wait_until(lambda: bridge.phase(table) == "failed" or not program.running, 30, "the refusal")
    lines = lambda: program.log().splitlines()
    told = lambda: any(table.name in line and reason in line for line in lines())
    wait_until(told, 30, f"the log to say: {reason}")


def test_another_partition_count_is_refused(bridge):
    """Each item would move to another partition."""
    table = bridge.add_table()
    bridge.writer(table, seed=1, keys=10).fill()
    producer = bridge.producer()
    bridge.wait_caught_up()
    producer.sigterm()
    new = confluent_kafka.admin.NewPartitions(bridge.topic(table), 6)
    for future in bridge.admin.create_partitions([new]).values():
        future.result()
    second = bridge.producer()
    wait_refused(bridge, table, second, "another number of partitions")


# --- what stands on the topics ---


def produce(bridge, topic, messages):
    """Appends foreign messages (partition, key, value, headers); their (partition, offset)."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bridge.parts.kafka})
    places = []

    def delivered(error, message):
        assert error is None, error
        places.append((message.partition(), message.offset()))

    for partition, key, value, headers in messages:
        producer.produce(topic, value, key, partition=partition, headers=headers, on_delivery=delivered)
    assert producer.flush(30) == 0
    return places


FOREIGN = [
    (0, None, b"not json", []),
    (0, b"k", b"", []),
    (1, b"k", None, []),
    (1, None, b"{}", []),
    (2, None, b"[1,2", [("generation", b"1")]),
    (2, b"\xff", b'{"op":"x"}', [("control", b"snapshot-middle")]),
    (3, None, b'{"op":"c","ts_ms":1,"source":{},"keys":{},"after":{}}', []),
    (3, None, b"\xff\xfe" * 1000, [("sequence", b"\xff")]),
    (0, None, b'{"op":"c","keys":' + b"[" * 100_000, []),
    (
        1,
        None,
        b'{"op":"m","ts_ms":1,"source":null,"keys":null,"after":null,"control":7}',
        [("control", b"skipped")],
    ),
]


@pytest.mark.asan
def test_foreign_messages_are_dead_letters_and_the_rest_goes_on(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=2, keys=30, rate=60, refused=0)
    writer.fill()
    bridge.producer()
    consumer = bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    places = produce(bridge, bridge.topic(table), FOREIGN)
    writer.start()
    wait_until(lambda: writer.written >= 90, 60, "writes", bridge.running())
    bridge.settle()
    letters, problems = bridge.dead_letters()
    complain(problems + bridge.verify_target(table, "raw"))
    found = {(letter["partition"], letter["offset"]): letter for letter in letters}
    assert sorted(found) == sorted(places)
    by_place = {(r.partition, r.offset): r for r in bridge.log(table)}
    for place, letter in found.items():
        value = by_place[place].value
        assert letter["topic"] == bridge.topic(table) and letter["reason"]
        assert (letter["value"] or "") == base64.b64encode(value or b"").decode()
    consumer.sigterm()


def test_an_envelope_for_another_table_is_a_dead_letter(bridge):
    """Well formed, but its table or its key is not this topic's."""
    table = bridge.add_table()
    bridge.writer(table, seed=3, keys=10, refused=0).fill()
    bridge.producer()
    bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    record = next(r for r in bridge.log(table) if r.is_change or r.is_row)
    headers = [(name, value.encode()) for name, value in record.headers.items()]
    wrong = record.value.replace(table.name.encode(), b"another-table")
    no_key = record.value.replace(b'"pk"', b'"kp"')
    assert wrong != record.value != no_key
    messages = [(record.partition, record.message_key, value, headers) for value in (wrong, no_key)]
    places = produce(bridge, bridge.topic(table), messages)
    bridge.wait_applied()
    letters, problems = bridge.dead_letters()
    complain(problems + bridge.verify_target(table, "raw"))
    assert sorted((letter["partition"], letter["offset"]) for letter in letters) == sorted(places)


def test_an_item_too_large_for_the_topic_is_named_and_its_neighbours_go_on(bridge):
    """In the snapshot and as a change: a dead letter with its key, and a skipped in its place."""
    table = bridge.add_table(KeySchema(("pk",), ("S",)))
    writer = bridge.writer(table, seed=4, keys=40, refused=0)
    writer.fill()
    large = {"pk": {"S": "large row"}, "v": {"N": "1"}, "text": {"S": "x" * 200_000}}
    bridge.dynamodb.put_item(TableName=table.name, Item=large)
    bridge.producer({"topic.max.message.bytes": 100_000})
    bridge.consumer({"topic.max.message.bytes": 100_000})
    bridge.wait_caught_up()
    change = {**large, "pk": {"S": "large change"}}
    bridge.dynamodb.put_item(TableName=table.name, Item=change)
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "small"}, "v": {"N": "1"}})
    bridge.settle()
    complain(bridge.verify_log(table))
    letters, problems = bridge.dead_letters()
    complain(problems)
    keys = {letter["keys"]["pk"]["S"] for letter in letters}
    assert keys == {"large row", "large change"}
    assert {letter["stage"] for letter in letters} == {"producer"}
    complain(topic_check.check_refused(bridge.log(table), letters))
    skipped = [r for r in bridge.log(table) if r.control == "skipped"]
    assert {r.message_key for r in skipped} == {message_key(i, table.key_schema) for i in (large, change)}
    left = [item for item in bridge.items(table) if item["pk"]["S"] not in keys]
    documents = list(bridge.target()[table.name].find())
    assert len(documents) == len(left)


def test_the_dead_letter_of_an_update_says_that_the_old_document_stays(bridge):
    table = bridge.add_table()
    old = {"pk": {"S": "k"}, "v": {"N": "1"}}
    bridge.dynamodb.put_item(TableName=table.name, Item=old)
    bridge.producer()
    bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    bridge.dynamodb.put_item(TableName=table.name, Item={**old, "v": {"N": "2"}, "$no": {"S": ""}})
    bridge.wait_caught_up()
    bridge.wait_applied()
    letters, problems = bridge.dead_letters()
    complain(problems)
    assert [(letter["keys"], letter["old_document_stays"]) for letter in letters] == [
        ({"pk": {"S": "k"}}, True)
    ]
    assert "$no" in letters[0]["reason"]
    assert bridge.target()[table.name].find_one({"pk.S": "k"})["v"] == {"N": "1"}


def test_a_compacted_topic_is_refused_for_a_table_with_a_sort_key(bridge):
    """Compaction goes by the message key, which is not the item's."""
    table = bridge.add_table(KeySchema(("pk", "sk"), ("S", "S")))
    new = confluent_kafka.admin.NewTopic(bridge.topic(table), 4, 1, config={"cleanup.policy": "compact"})
    for future in bridge.admin.create_topics([new]).values():
        future.result()
    producer = bridge.producer()
    wait_refused(bridge, table, producer, "compact")
    assert not any(record.is_row or record.is_change for record in bridge.log(table))

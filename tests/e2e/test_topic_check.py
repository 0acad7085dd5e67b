"""The topic checker by itself: a right log passes, and each way to break it is named."""

import copy
import json

import pytest
from support import oracle, topic_check
from support.topic_check import Change, Record, Source

SCHEMA = oracle.KeySchema(("pk",), ("S",))
TOPIC, PREFIX, TABLE, PARTITIONS, GENERATION = "p.t", "p", "t", 2, 1000
SHARD = "shardId-00000001"


def keys(name):
    return {"pk": {"S": name}}


def item(name, version):
    return {"pk": {"S": name}, "v": {"N": str(version)}}


class Log:
    """Builds a log record by record, as a producer would."""

    def __init__(self):
        self.records = []
        self.ends = [0] * PARTITIONS

    def add(self, partition, op, name, after, headers, **more):
        event = {"op": op, "ts_ms": 1, "keys": name and keys(name), "after": after, **more}
        event["source"] = {
            "connector": "dynamodb",
            "name": PREFIX,
            "table": TABLE,
            "snapshot": op == "r" and "signal" not in headers,
            "generation": GENERATION,
            "ts_ms": None if op in "rm" or "signal" in headers else 5,
        }
        value = json.dumps(event, separators=(",", ":")).encode()
        headers["generation"] = str(GENERATION)
        message_key = name and oracle.canonical_key(keys(name))
        record = Record(TOPIC, partition, self.ends[partition], message_key, value, headers, event)
        record.keys, record.after = name and keys(name), after
        record.key = message_key
        self.ends[partition] += 1
        self.records.append(record)

    def control(self, kind):
        for partition in range(PARTITIONS):
            control = {"type": kind, "log_id": "x", "rows": True}
            self.add(partition, "m", None, None, {"control": kind}, control=control)

    def row(self, name, version):
        self.add(self.partition(name), "r", name, item(name, version), {"segment": "0"})

    def change(self, op, name, version, sequence):
        headers = {"shard": SHARD, "sequence": f"{sequence:021}"}
        self.add(self.partition(name), op, name, version and item(name, version), headers)

    def repair(self, name, version):
        headers = {"signal": "0"}
        self.add(self.partition(name), "r" if version else "d", name, version and item(name, version), headers)

    @staticmethod
    def partition(name):
        return oracle.partition_of(oracle.canonical_key(keys(name)), PARTITIONS)


@pytest.fixture
def history():
    """(source, items, log): a snapshot with changes beside it, as it should be."""
    changes = [
        Change(SHARD, 7, "c", keys("a"), item("a", 1), False),
        Change(SHARD, 8, "u", keys("a"), item("a", 2), False),
        Change(SHARD, 9, "c", keys("b"), item("b", 1), False),
        Change(SHARD, 10, "d", keys("b"), None, False),
        Change(SHARD, 11, "u", keys("a"), item("a", 3), False),
    ]
    log = Log()
    log.control("snapshot-begin")
    log.row("quiet", 4)
    log.row("a", 2)
    log.change("c", "a", 1, 7)
    log.change("u", "a", 2, 8)
    log.row("b", 1)
    log.control("snapshot-end")
    log.change("c", "b", 1, 9)
    log.change("d", "b", None, 10)
    log.change("u", "a", 3, 11)
    return Source(changes, SCHEMA), [item("a", 3), item("quiet", 4)], log.records


def problems(source, items, log):
    out = []
    for r in log:
        out += topic_check.form_problems(r, SCHEMA, PARTITIONS, PREFIX, TABLE)
    out += topic_check.check_exactly_once(log, source) + topic_check.check_order(log, source)
    out += topic_check.check_rows(log, source) + topic_check.check_controls(log, PARTITIONS)
    return out + topic_check.check_last(log, items, source)


def test_a_right_log_has_no_problem(history):
    assert problems(*history) == []


def find(log, op, name, version=None):
    for i, r in enumerate(log):
        if r.op == op and r.keys == keys(name) and (not version or r.after == item(name, version)):
            return i
    raise LookupError(name)


def drop(log, *what):
    del log[find(log, *what)]


def double(log, *what):
    i = find(log, *what)
    log.insert(i + 1, copy.deepcopy(log[i]))


def move_to_end(log, *what):
    log.append(log.pop(find(log, *what)))


def swap(log, one, other):
    i, j = find(log, *one), find(log, *other)
    log[i], log[j] = log[j], log[i]


def edit(log, what, **changes):
    r = log[find(log, *what)]
    for name, value in changes.items():
        setattr(r, name, value)


BROKEN = {
    "a lost change": (lambda log: drop(log, "u", "a", 2), "is missing"),
    "a lost delete": (lambda log: drop(log, "d", "b"), "is missing"),
    "a doubled change": (lambda log: double(log, "c", "a", 1), "a second time"),
    "a doubled row": (lambda log: double(log, "r", "quiet"), "a second row"),
    "changes of an item swapped": (
        lambda log: swap(log, ("c", "a", 1), ("u", "a", 2)),
        "after a newer change",
    ),
    "a row after a newer change": (lambda log: move_to_end(log, "r", "a", 2), "a row as of"),
    "a row after the delete": (lambda log: move_to_end(log, "r", "b", 1), "a row as of"),
    "a row after the end": (lambda log: move_to_end(log, "r", "quiet"), "a row after its generation's end"),
    "a lost row": (lambda log: drop(log, "r", "quiet"), "no record"),
    "another value": (lambda log: edit(log, ("u", "a", 3), after=item("a", 2)), "the stream has u"),
    "a wrong partition": (lambda log: edit(log, ("r", "quiet"), partition=9), "wrong partition"),
    "another spelling": (
        lambda log: edit(log, ("r", "quiet"), message_key=b'{"pk": {"S":"quiet"}}'),
        "canonical",
    ),
    "a foreign sequence": (
        lambda log: edit(
            log, ("u", "a", 3), headers={"shard": SHARD, "sequence": "99", "generation": "1000"}
        ),
        "is not in the stream",
    ),
    "no shard": (
        lambda log: log[find(log, "r", "quiet")].headers.update(shard=SHARD),
        "header shard",
    ),
    "a repair with a segment": (
        lambda log: log[find(log, "r", "quiet")].headers.update(signal="1"),
        "header segment",
    ),
    "a lost begin": (lambda log: log.pop(0), "0 begins"),
    "a doubled begin": (lambda log: log.insert(2, log[0]), "2 begins"),
    "a lost end": (lambda log: log.pop([r.control for r in log].index("snapshot-end")), "0 ends"),
    "a change before the begin": (
        lambda log: log.insert(0, log.pop(find(log, "c", "a", 1))),
        "where None stands",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_log_is_seen(history, name):
    source, items, log = history
    breaks, message = BROKEN[name]
    breaks(log)
    found = problems(source, items, log)
    assert any(message in problem for problem in found), found


def repaired(*repairs):
    """Complaints about repairs behind the right log of an item that was there, deleted, and made again."""
    changes = [
        Change(SHARD, 7, "u", keys("a"), item("a", 1), False),
        Change(SHARD, 8, "d", keys("a"), None, False),
        Change(SHARD, 9, "c", keys("a"), item("a", 2), False),
    ]
    log = Log()
    log.control("snapshot-begin")
    log.row("still", 4)
    for step in repairs:
        if isinstance(step, int):
            change = changes[step]
            log.change(change.op, "a", change.image and int(change.image["v"]["N"]), change.sequence)
        else:
            log.repair(*step)
    log.control("snapshot-end")
    return problems(Source(changes, SCHEMA), [item("a", 2), item("still", 4)], log.records)


def test_a_repair_may_stand_wherever_its_item_was_so():
    assert repaired(("still", 4), ("still", 4), 0, ("a", 1), ("a", None), ("a", 2), 1, ("a", None), 2) == []
    assert repaired(0, 1, ("a", None), ("never", None), 2, ("a", 2)) == []


def test_a_repair_that_the_source_never_bore_out_is_seen():
    assert "a row as of" in repaired(0, 1, ("a", 1), 2)[0]
    assert "a row as of" in repaired(0, 1, 2, ("a", 1))[0]
    assert "the item was there since" in repaired(0, 1, 2, ("a", None))[0]
    assert "no such item" in repaired(0, 1, 2, ("never", 3))[0]


def test_an_item_the_source_no_longer_has_is_seen(history):
    source, items, log = history
    found = topic_check.check_last(log, items[:1], source)
    assert len(found) == 1 and "no such item" in found[0]


def test_a_child_shards_changes_follow_its_parents():
    changes = [
        Change("child", 5, "u", keys("a"), item("a", 2), False),
        Change("parent", 9, "c", keys("a"), item("a", 1), False),
    ]
    source = Source(changes, SCHEMA, {"child": "parent", "parent": None})
    assert [c.shard for c in source.changes] == ["parent", "child"]


def test_wire_values_are_those_of_boto3():
    wire = {"M": {"b": {"B": "+/8="}, "s": {"BS": ["AA=="]}, "e": {}, "l": {"L": [{"NULL": True}]}}}
    boto = {
        "M": {"b": {"B": b"\xfb\xff"}, "s": {"BS": [b"\0"]}, "e": {"M": {}}, "l": {"L": [{"NULL": True}]}}
    }
    assert topic_check.from_wire(wire) == boto
    assert topic_check.same_item({"v": {"SS": ["b", "a"]}}, {"v": {"SS": ["a", "b"]}})
    assert not topic_check.same_item(
        {"v": {"L": [{"S": "b"}, {"S": "a"}]}}, {"v": {"L": [{"S": "a"}, {"S": "b"}]}}
    )


def test_a_doubled_member_is_refused():
    with pytest.raises(ValueError):
        json.loads('{"a":1,"a":2}', object_pairs_hook=topic_check.same_members)

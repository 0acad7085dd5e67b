"""A short campaign of random faults, as tests/chaos/run does it at length; and its judgment of topics can fail."""

import argparse
import copy

import pytest
from chaos import log_truth
from chaos.campaign import run_chain
from chaos.growth import grows
from chaos.log_truth import Change, check_generation, check_newest
from support.oracle import KeySchema
from support.topic_check import Record

SCHEMA = KeySchema(("pk",), ("S",))
KEY = b'{"pk":{"S":"a"}}'


@pytest.mark.campaign
def test_two_rounds_of_random_faults(parts, directory):
    parts.need_ours("kafka", "mongodb")
    options = argparse.Namespace(
        seed=7, rounds=2, minutes=60, producers=2, consumers=2, asan=False, tsan=False, mutation=None
    )
    assert run_chain(options, directory, parts) == 0, f"see {directory}"


# --- the judgment of a topic ---


def wire(version):
    return {"pk": {"S": "a"}, "v": {"N": str(version)}}


class Stream:
    """One item is put, changed, deleted and put again; `records` is what must stand in the topic."""

    table = argparse.Namespace(name="t", key_schema=SCHEMA)

    def __init__(self):
        versions = [("INSERT", 1, None), ("MODIFY", 2, 1), ("REMOVE", None, 2), ("INSERT", 3, None)]
        self.changes = [
            Change(
                {
                    "arn": "arn", "shard": "s", "seq": str(100 + n), "name": name, "ttl": False, "made": 10.0 + n,
                    "keys": {"pk": {"S": "a"}}, "new": new and wire(new), "old": old and wire(old),
                },
                n, SCHEMA,
            )
            for n, (name, new, old) in enumerate(versions)
        ]  # fmt: skip
        self.by_place = {change.place: change for change in self.changes}
        self.records = [self.begin(), *(self.change(n) for n in range(4))]

    def record(self, offset, event, headers, after=None):
        event = {"source": {"generation": 1}, **event}
        keys = None if event["op"] == "m" else {"pk": {"S": "a"}}
        found = Record("t", 0, offset, KEY, b"", headers, event, keys and KEY, keys, after)
        found.logged_s = 9.0
        return found

    def begin(self):
        control = {"log_id": "x", "type": log_truth.BEGIN}
        return self.record(0, {"op": "m", "control": control}, {"control": log_truth.BEGIN})

    def change(self, n):
        change = self.changes[n]
        headers = {"shard": "s", "sequence": str(100 + n)}
        return self.record(n + 1, {"op": change.op}, headers, change.image)

    def row(self, version):
        return self.record(9, {"op": "r"}, {"segment": "0"}, wire(version))

    def problems(self):
        return check_generation(self.records, self) + check_newest(self.records, self, [wire(3)], "arn", SCHEMA)


def nothing(stream):
    pass


def twice(stream):
    stream.records.append(copy.copy(stream.records[4]))


def missing(stream):
    del stream.records[2]


def turned(stream):
    stream.records[1:3] = [stream.records[2], stream.records[1]]


def resurrected(stream):
    stream.records.insert(4, stream.row(2))


def stale_row(stream):
    stream.records.insert(3, stream.row(1))


def two_rows(stream):
    stream.records[1:1] = [stream.row(1), stream.row(1)]


def fresh_row(stream):
    """Right: what a row shows already may follow."""
    stream.records.insert(1, stream.row(3))


def another_value(stream):
    stream.records[2].after = wire(7)


def old_end(stream):
    del stream.records[4]
    del stream.changes[3]


@pytest.mark.parametrize(
    "break_it, told",
    [
        (nothing, ""),
        (fresh_row, ""),
        (twice, "a second time in its generation"),
        (missing, "is missing"),
        (turned, "version (1, False) after (2, False)"),
        (resurrected, "a row of version 2 after the change (2, True)"),
        (stale_row, "a row of version 1 after the change (2, False)"),
        (two_rows, "a second row of its generation"),
        (another_value, "the stream has u"),
        (old_end, "the last record None"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_judgment_of_a_topic_tells(break_it, told):
    stream = Stream()
    break_it(stream)
    found = stream.problems()
    assert any(told in line for line in found) if told else not found, found


# --- growth ---


@pytest.mark.parametrize(
    "values, told",
    [
        ([35, 35, 74, 89], False),  # its first tables, and more of them
        ([42, 60, 78, 96], True),
        ([92, 42, 60, 78, 96], True),
        ([42, 60, 78], False),
        ([42, 44, 46, 48], False),
        ([42, 43, 92, 120], False),
        ([42, 92, 91, 120], False),
    ],
)
def test_growth_is_more_in_each_round(values, told):
    assert grows(values, 10) == told

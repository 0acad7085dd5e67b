"""What the tests against the scripted endpoint share: its truth, a bridge from it, and the steps of a test.

The stream's truth is the endpoint's own memory, which also knows what it hid or trimmed.
"""

import itertools
import json
from collections import defaultdict

import confluent_kafka
import pytest

from . import topic_check
from .bridge import complain
from .running import wait_until
from .spelling import plain_value
from .topic_check import OP_OF_EVENT, Change, Source

VERSIONS = itertools.count(1)
RECORDS_BESIDE = 25  # writes between two events of a test


def wire_item(item):
    return item and {name: topic_check.from_wire(value) for name, value in item.items()}


def told(fake, table):
    """The stream's truth from the endpoint's memory; a `v` that is spelled with an exponent is put plainly."""
    changes = [
        Change(
            r["shard"], int(r["seq"]), OP_OF_EVENT[r["name"]], wire_item(r["keys"]), wire_item(r["new"]), r["ttl"]
        )
        for r in fake.control.history(table.name)
    ]
    for change in changes:
        if change.image and "v" in change.image:
            change.image["v"] = plain_value(change.image["v"])
    parents = {shard["id"]: shard["parent"] for shard in fake.control.shards(table.name)}
    return Source(changes, table.key_schema, parents)


def from_producer(request):
    return "Boto3" not in request.headers.get("user-agent", "")


def request_problems(fake):
    """What no producer may do whatever is answered: weak scans, two requests at once on one shard."""
    out, by_shard = [], defaultdict(list)
    for e in fake.control.log():
        if "Boto3" in e["agent"]:
            continue
        if e["op"] in ("Scan", "BatchGetItem") and e["fields"].get("ConsistentRead") is not True:
            out.append(f"request {e['n']}: a {e['op']} that is not strongly consistent")
        if e["op"] == "GetRecords" and "ShardId" in e["fields"]:
            by_shard[e["fields"]["ShardId"]].append(e)
    for shard, entries in by_shard.items():
        for one, other in zip(entries, entries[1:]):
            if other["start"] < (one["ready"] or one["end"] or one["start"]):
                out.append(f"requests {one['n']} and {other['n']}: both on {shard} at once")
    return out


@pytest.fixture
def ferry(scripted):
    """A bridge from the scripted endpoint, whose requests are looked at in the end."""
    scripted.source = lambda table: told(scripted.fake, table)
    yield scripted
    scripted.fake.control.clear()
    complain(request_problems(scripted.fake))


@pytest.fixture(autouse=True)
def patient(ferry):
    """A minute of doubt, as nobody changes it, where a test does not say so; for files that import it."""
    ferry.settings.pop("source.doubt.ms", None)


def begin(ferry, seed, keys=60, rate=150, padding=0, table=None, wait=True, **settings):
    """A filled table, its writer (not started) and a producer that has adopted its shards: shards that were
    closed before that need not be read."""
    table = table or ferry.add_table()
    writer = ferry.writer(table, seed=seed, keys=keys, rate=rate)
    writer.fill(padding=padding)
    producer = ferry.producer(settings)
    if wait:
        wait_until(lambda: ferry.phase(table), 60, "the adoption", ferry.running())
    return table, writer, producer


def put(ferry, table, value, key="x"):
    ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": key}, "v": {"N": str(value)}})


def asked(ferry, op, since=0, **where):
    """The producers' requests of this kind behind request `since`, oldest first."""
    entries = ferry.fake.script.entries(op, since, **where)
    return [e for e in entries if "Boto3" not in e["agent"]]


def given_up(ferry, *tables):
    """Tables that are halted, and why."""
    ledger = ferry.ledger()[0]
    records = [ledger.get(f"table/{table.name}", {}) for table in tables or ferry.tables]
    return [(r["phase"], r["reason"]) for r in records if r.get("phase") in ("gap", "gone", "failed")]


def wait_asked(ferry, count, op, table, since=0, seconds=60):
    """So many of them about this table were answered, and it was not given up before."""

    def enough():
        done = [e for e in asked(ferry, op, since, TableName=table.name) if e["end"] is not None]
        assert len(done) >= count or not given_up(ferry, table), f"{len(done)} {op}: {given_up(ferry, table)}"
        return len(done) >= count

    wait_until(enough, seconds, f"{count} {op} of {table.name}", ferry.running())


def wait_healthy(producer, seconds=60):
    wait_until(lambda: producer.get("/healthz")[0] == 200, seconds, "health", [producer])


# --- the ledger as another hand left it ---


def ledger_messages(ferry, key, isolation="read_committed"):
    """What was written for this key, oldest first."""
    messages = topic_check.read_messages(ferry.parts.kafka, f"{ferry.prefix}-ledger", isolation)
    return [m for m in messages if m.key() == key.encode()]


def write_ledger(ferry, key, record):
    """The key's record is this one now (None: it is gone); only while no producer runs."""
    partition = ledger_messages(ferry, key)[-1].partition()
    value = None if record is None else json.dumps(record, separators=(",", ":"))
    done = []
    producer = confluent_kafka.Producer({"bootstrap.servers": ferry.parts.kafka})
    producer.produce(
        f"{ferry.prefix}-ledger", value, key, partition=partition, on_delivery=lambda e, _: done.append(e)
    )
    assert producer.flush(30) == 0 and done == [None]


def shard_record(ferry, table, shard):
    return ferry.ledger()[0].get(f"shard/{table.name}/{shard}")


def held_cut_batch(ferry, table):
    """The table's next changes, held; let go, they prove to be cut behind what was appended of them already."""
    where = {"TableName": table.name}
    fault = ferry.fake.control.fault("hold", op="GetRecords", where=where)
    ferry.fake.control.fault("cut_json", op="GetRecords", where=where, keep=0.9)
    assert ferry.fake.control.wait_held(fault)
    for number in range(10):
        ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": f"cut {number}"}, "v": {"N": "1"}})
    return fault


def write_on(ferry, writer, count=RECORDS_BESIDE):
    goal = writer.written + count
    wait_until(lambda: writer.written >= goal, 60, f"{count} writes", ferry.running())


def wait_phase(ferry, table, phase, seconds=60):
    wait_until(lambda: ferry.phase(table) == phase, seconds, f"phase {phase}", ferry.running())


def wait_commit(ferry, producer, table):
    """A change of this table is committed; from here on nothing is for the interval (but a new generation)."""
    commits = lambda: producer.metric("dynaferry_producer_commits_total")
    before = commits()
    ferry.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a commit"}, "v": {"N": str(next(VERSIONS))}})
    wait_until(lambda: commits() > before, 30, "a commit", [producer])


def verify_all_logs(ferry, finished=True):
    ferry.fake.control.clear()
    complain([p for table in ferry.tables for p in ferry.verify_log(table, finished)])


def settle_log(ferry, seconds=90):
    """Writers stop, everything is in the log, the log is right, and nothing had to be begun anew."""
    ferry.stop_writers()
    ferry.wait_caught_up(seconds)
    verify_all_logs(ferry)
    for table in ferry.tables:
        generations = {r.generation for r in ferry.log(table) if not r.bad}
        assert len(generations) == 1, f"{table.name}: generations {sorted(generations)}"

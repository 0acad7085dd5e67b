"""What the tests against the scripted endpoint share: its truth, a bridge from it, and the steps of a test.

The stream's truth is the endpoint's own memory, which also knows what it hid or trimmed.
"""

import itertools
from collections import defaultdict

import pytest
import topic_check
from bridge import complain
from running import wait_until
from spelling import plain_value
from topic_check import OP_OF_EVENT, Change, Source

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

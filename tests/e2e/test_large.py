"""Memory and threads are bounded by what the largest legal items, thousands of shards and a slow target ask for.

(That many large items do not fill the memory: test_memory.py.)
"""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from support import oracle, workload
from support.bridge import Bridge, complain
from support.running import bin_dir, wait_until
from test_memory import CEILING_KB

WORST = dict(workload.special_items())["400 KB of empty strings"]
ELEMENTS = len(WORST["big"]["L"])
WORST_ITEMS = 3
SHARDS = 3000
RECORDS_A_SECOND = 500
MOST_THREADS = 48
LARGE_ITEMS = 300  # twice in the log: as rows, and as changes
SLOW_S = 8  # for each write of 8 MB; the programs wait for 10


def threads(program):
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"Threads:\s+(\d+)", status)[1])


def check_bounds(*programs):
    peaks = {program.name: program.peak_kb() for program in programs}
    assert max(peaks.values()) <= CEILING_KB, f"{peaks} kB at the peak"
    counts = {program.name: threads(program) for program in programs}
    assert max(counts.values()) <= MOST_THREADS, f"{counts} threads"


def put_worst(scripted, table, version):
    """Straight into the endpoint: a client library would take seconds for each."""
    for number in range(WORST_ITEMS):
        item = {"pk": {"S": f"k{number}"}, "v": {"N": str(version)}, **WORST}
        scripted.fake.backend.call("PutItem", {"TableName": table.name, "Item": item}, False, False)


def test_the_worst_legal_item_travels_end_to_end_with_both_images(scripted):
    """3.7 MB of JSON as a row, twice that as a change; a document of 5 MB."""
    table = scripted.add_table()
    put_worst(scripted, table, 1)
    settings = {"event.before": "true", "convert.type": "change"}
    producer, consumer = scripted.producer(settings), scripted.consumer(settings)
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the rows", scripted.running())
    put_worst(scripted, table, 2)
    shards = scripted.fake.control.shards(table.name)
    read = lambda: scripted.ledger()[0].get(f"shard/{table.name}/{shards[0]['id']}", {}).get("records", 0)
    wait_until(lambda: read() >= 2 * WORST_ITEMS, 120, "the changes in the log", scripted.running())
    scripted.wait_applied(240)
    check_bounds(producer, consumer)
    letters, problems = scripted.dead_letters()
    assert not letters and not problems
    documents = list(scripted.target()[table.name].find({}, {"v": 1}))
    assert [d["v"] for d in documents] == [2] * WORST_ITEMS
    one = scripted.target()[table.name].find_one()
    assert one["big"] == [""] * ELEMENTS


# --- thousands of shards ---


class Endpoint:
    """tests/bench/endpoint.c: a source that costs hardly anything; it ends with this process."""

    def __init__(self, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen([bin_dir() / "endpoint", *words], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def stats(self):
        with urllib.request.urlopen(self.url + "/_stats", timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def many_shards(parts, directory):
    """A bridge from a table of so many shards, which is at `many.endpoint`."""
    if not (bin_dir() / "endpoint").exists():
        pytest.skip("this build has no bench")
    endpoint = Endpoint(tables=1, shards=SHARDS, items=10, records=RECORDS_A_SECOND)
    found = Bridge(parts, directory, endpoint.url)
    found.endpoint = endpoint
    yield found
    complaints = found.close()
    endpoint.stop()
    assert not complaints, "\n".join(complaints)


def shard_records(bridge):
    """How many shards the ledger has, and how many of their records were appended."""
    records = [record for key, record in bridge.ledger()[0].items() if key.startswith("shard/")]
    return len(records), sum(record["records"] for record in records)


def test_thousands_of_shards_are_read_within_the_bounds(many_shards):
    """Each is read and has its place in the ledger; what their records say was appended is in the log."""
    producer = many_shards.producer()
    wait_until(lambda: not many_shards.endpoint.stats()["unread"], 240, "each shard to be read", [producer])
    appended = lambda: producer.metric("dynaferry_producer_changes_total")
    wait_until(lambda: appended() >= 5 * RECORDS_A_SECOND, 240, "records of them", [producer])
    check_bounds(producer)
    producer.sigterm(60)
    (table,) = [r for key, r in many_shards.ledger()[0].items() if key.startswith("table/")]
    named = workload.Table(table["table"], workload.KeySchema(("pk",), ("S",)))
    places = [(r.headers["shard"], r.headers["sequence"]) for r in many_shards.log(named) if r.is_change]
    assert len(set(places)) == len(places)
    assert shard_records(many_shards) == (SHARDS, len(places))


# --- a slow target ---


@pytest.fixture
def slow(parts, scripted):
    """A bridge from the scripted endpoint into a target that is slow when `slow.delay` says so."""
    from fakes.mongo_proxy import MongoProxy

    with MongoProxy("%s:%d" % parts.mongo.address) as proxy:
        scripted.settings["target.address"] = proxy.uri
        scripted.proxy = proxy
        yield scripted
        proxy.control.clear()


def test_a_target_far_slower_than_the_source_loses_nothing(slow):
    """What waits for it waits in Kafka: neither program's memory grows, and no thread comes for it."""
    table = slow.add_table()
    text = {"S": "x" * 390_000}
    for number in range(LARGE_ITEMS):
        item = {"pk": {"S": f"k{number}"}, "v": {"N": "1"}, "text": text}
        slow.fake.backend.call("PutItem", {"TableName": table.name, "Item": item}, False, False)
    where = {"collection": table.name}
    fault = slow.proxy.control.fault("delay", op="update", where=where, seconds=SLOW_S, when="before", times=-1)
    producer, consumer = slow.producer(), slow.consumer()
    wait_until(lambda: slow.phase(table) == "tail", 180, "the snapshot's end", slow.running())
    slow.wait_caught_up(180)
    assert slow.unapplied(table, slow.log(table)), "the target kept up"
    wait_until(lambda: slow.proxy.script.find(fault).hits > 8, 180, "slow writes", slow.running())
    check_bounds(producer, consumer)
    slow.proxy.control.clear()
    slow.wait_applied(300)
    check_bounds(producer, consumer)
    documents = slow.target()[table.name].find().batch_size(20)  # the test server would send too much at once
    complain(oracle.compare_items(slow.items(table), documents, table.key_schema, "raw").differences)
    letters, problems = slow.dead_letters()
    assert not letters and not problems

"""The producer against a scripted endpoint that does what DynamoDB Local never does: splits, rolls, expired
iterators, throttling, errors, cut, slow and lying answers, late children, vanished parents, early moments.

Whatever happens, every record of the stream stands in the log once and in order. The stream's truth is the
endpoint's own memory, which also knows what it hid or trimmed.
"""

import re
import threading
from collections import defaultdict
from pathlib import Path

import pytest
import topic_check
import workload
from bridge import complain
from oracle import KeySchema
from running import wait_until
from spelling import plain_item, plain_value
from topic_check import OP_OF_EVENT, Change, Source

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
        if e["op"] == "Scan" and e["fields"].get("ConsistentRead") is not True:
            out.append(f"request {e['n']}: a scan that is not strongly consistent")
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


# --- the tree of shards ---


def test_splits_and_rolls_with_records_in_flight(ferry):
    ferry.fake.control.set(shards=2)
    table, writer, producer = begin(ferry, seed=31)
    writer.start()
    for turn in range(12):
        write_on(ferry, writer)
        if turn % 3 == 2:
            ferry.fake.control.roll(table.name)
        else:
            opened = [s["id"] for s in ferry.fake.control.shards(table.name) if s["open"]]
            ferry.fake.control.split(table.name, opened[turn % len(opened)])
    write_on(ferry, writer)
    settle_log(ferry)
    assert len(ferry.fake.control.shards(table.name)) > 20
    producer.sigterm()


def test_a_stopped_producer_goes_on_in_shards_that_split_meanwhile(ferry):
    table, writer, producer = begin(ferry, seed=32)
    writer.start()
    write_on(ferry, writer)
    ferry.stop_writers()
    ferry.wait_caught_up()
    producer.sigterm()
    writer.start()
    for _ in range(4):
        write_on(ferry, writer)
        ferry.fake.control.split(table.name)
    write_on(ferry, writer)
    ferry.producer()
    settle_log(ferry)


def test_more_shards_than_a_page_of_the_description(ferry):
    ferry.fake.control.set(shards=130)
    table, writer, _ = begin(ferry, seed=33, keys=200)
    writer.start()
    write_on(ferry, writer, 300)
    settle_log(ferry, 120)


def test_a_late_child_is_waited_for(ferry):
    table, writer, _ = begin(ferry, seed=34)
    wait_phase(ferry, table, "tail")
    late = ferry.fake.control.fault("hide_children", op="DescribeStream", times=4, predicate=from_producer)
    ferry.fake.control.split(table.name)
    writer.start()
    write_on(ferry, writer, 60)
    assert ferry.fake.control.wait_used(late, timeout=60)
    settle_log(ferry)


def test_a_shard_that_says_late_that_it_is_drained(ferry):
    ferry.fake.control.set(drained_late=True, max_records=7)
    table, writer, _ = begin(ferry, seed=35)
    writer.start()
    for _ in range(3):
        write_on(ferry, writer)
        ferry.fake.control.roll(table.name)
    settle_log(ferry)


def test_children_of_a_parent_that_is_long_gone_are_not_kept_waiting(ferry):
    """At the adoption the parents have left the description already, their records with them."""
    table = ferry.add_table()
    first = ferry.fake.control.shards(table.name)[0]["id"]
    ferry.fake.control.split(table.name)
    ferry.fake.control.vanish(table.name, first)
    _, writer, _ = begin(ferry, seed=36, table=table)
    writer.start()
    write_on(ferry, writer, 60)
    settle_log(ferry)


def test_a_parent_may_vanish_once_it_is_done(ferry):
    table, writer, producer = begin(ferry, seed=37)
    parent = ferry.fake.control.shards(table.name)[0]["id"]
    writer.start()
    write_on(ferry, writer)
    ferry.fake.control.split(table.name)
    key = f"shard/{table.name}/{parent}"
    wait_until(lambda: ferry.ledger()[0].get(key, {}).get("status") == "done", 60, "the parent's end",
               ferry.running())
    ferry.fake.control.vanish(table.name, parent)
    write_on(ferry, writer)
    producer.sigterm()
    ferry.producer()
    write_on(ferry, writer)
    settle_log(ferry)


# --- positions ---


def test_expired_iterators_are_taken_anew_after_the_last_record(ferry):
    ferry.fake.control.set(shards=2, iterator_uses=5, max_records=10)
    table, writer, _ = begin(ferry, seed=38)
    writer.start()
    for _ in range(8):
        write_on(ferry, writer)
        ferry.fake.control.expire_iterators()
    settle_log(ferry)


def test_a_position_just_trimmed_is_no_loss(ferry):
    """Everything up to the position is gone: reading goes on at the trim horizon, without a record twice."""
    table, writer, producer = begin(ferry, seed=39)
    writer.start()
    write_on(ferry, writer)
    ferry.stop_writers()
    ferry.wait_caught_up()
    producer.sigterm()
    ferry.fake.control.trim(table.name)
    writer.start()
    write_on(ferry, writer)
    ferry.producer()
    settle_log(ferry)


def test_what_the_position_has_is_dropped_when_reading_from_the_horizon(ferry):
    """The service says trimmed though it still has older records, too: none comes a second time."""
    table, writer, producer = begin(ferry, seed=40)
    writer.start()
    write_on(ferry, writer, 60)
    ferry.stop_writers()
    ferry.wait_caught_up()
    producer.sigterm()
    refusal = ferry.fake.control.fault(
        "trimmed", op="GetShardIterator", where={"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
    )
    writer.start()
    ferry.producer()
    write_on(ferry, writer)
    assert ferry.fake.control.wait_used(refusal)
    settle_log(ferry)


# --- aborts: half a batch was appended, then the answer proved to be cut ---


def put_all(writer):
    for index in range(writer.ordinary):
        writer.put(index)


def read_to_end(ferry, table, shard_id):
    """Waits until the producer has asked for what comes after the shard's newest record."""
    newest = next(s["newest"] for s in ferry.fake.control.shards(table.name) if s["id"] == shard_id)
    where = {"ShardId": shard_id, "After": newest}
    wait_until(
        lambda: ferry.fake.script.entries("GetRecords", **where), 30, f"{shard_id} to be read", ferry.running()
    )


class Abort:
    """Two shards and one long transaction: the second shard's next batch is held, and cut when released."""

    def __init__(self, ferry, seed):
        self.ferry, self.control = ferry, ferry.fake.control
        self.control.set(shards=2)
        self.table, self.writer, self.producer = begin(ferry, seed, **{"commit.interval.ms": 5000})
        wait_phase(ferry, self.table, "tail")
        ferry.wait_caught_up()  # just committed: some seconds until the next commit
        self.quiet, self.cut = [s["id"] for s in self.control.shards(self.table.name)]
        where = {"ShardId": self.cut}
        self.held = self.control.fault("hold", op="GetRecords", where=where, predicate=from_producer)
        self.control.fault("cut_json", op="GetRecords", where=where, keep=0.9, predicate=from_producer)
        assert self.control.wait_held(self.held)

    def release(self):
        self.control.release(self.held)
        wait_until(lambda: "abort" in self.producer.log(), 30, "the abort", self.ferry.running())


def test_an_abort_takes_every_shard_back_to_the_last_commit(ferry):
    """Also one whose reader has nothing in flight: its iterator is beyond what was lost."""
    abort = Abort(ferry, seed=53)
    put_all(abort.writer)
    read_to_end(ferry, abort.table, abort.quiet)
    abort.release()
    settle_log(ferry)


def test_an_abort_that_takes_a_parent_back_holds_its_child(ferry):
    """The parent's end is lost together with its child's records: first the parent again."""
    abort = Abort(ferry, seed=54)
    put_all(abort.writer)
    (child,) = abort.control.split(abort.table.name, abort.quiet, children=1)
    put_all(abort.writer)
    read_to_end(ferry, abort.table, child)
    parent = abort.control.fault(
        "hold", op="GetRecords", where={"ShardId": abort.quiet}, predicate=from_producer
    )
    abort.release()
    assert abort.control.wait_held(parent)
    seen = abort.control.requests()
    assert abort.control.wait_requests("GetRecords", 5, since=seen, ShardId=abort.cut)
    abort.control.release(parent)
    settle_log(ferry)


# --- answers ---

KINDS = {
    "refused": [{"kind": kind} for kind in ("throttle", "throttling", "request_limit", "limit", "500", "503")],
    "cut": [
        {"kind": "cut", "when": "before"},
        {"kind": "cut", "when": "answer"},
        {"kind": "cut", "when": "middle"},
        {"kind": "close"},
    ],
    "wrong": [
        {"kind": "wrong_crc"},
        {"kind": "cut_json", "keep": 0.6},
        {"kind": "length", "claim": 10**15},
        {"kind": "length", "claim": 10},
        {"kind": "body", "text": "<html>busy</html>", "status": 503},
        {"kind": "no_crc"},
    ],
    "slow": [
        {"kind": "drip", "bytes": 2000, "pause": 0.02},
        {"kind": "delay", "seconds": 0.2, "when": "before"},
        {"kind": "delay", "seconds": 0.2, "when": "after"},
        {"kind": "empty", "op": "GetRecords"},
        {"kind": "gzip"},
    ],
}


def add_faults(ferry, kinds, chance):
    control = ferry.fake.control
    return [
        control.fault(**{"times": -1, "chance": chance, "predicate": from_producer, **kind}) for kind in kinds
    ]


@pytest.mark.parametrize("group", KINDS)
def test_bad_answers_lose_nothing(ferry, group):
    """From the first request on, also those of the set-up; snapshot and changes at once."""
    ferry.fake.control.set(shards=2, max_records=20)
    table = ferry.add_table(KeySchema(("pk", "sk"), ("S", "N")))
    ids = add_faults(ferry, KINDS[group], 0.04)
    settings = {"qps.full.batch_num": 8, "full.read.concurrency": 3}
    _, writer, producer = begin(ferry, seed=41, keys=160, padding=1000, table=table, wait=False, **settings)
    writer.start()
    faults = [ferry.fake.script.find(number) for number in ids]
    wait_until(lambda: all(f.hits >= 2 for f in faults), 90, "each fault twice", ferry.running())
    write_on(ferry, writer)
    ferry.stop_writers()
    ferry.wait_caught_up(90)
    settle_log(ferry)
    producer.sigterm()


@pytest.mark.parametrize("op", ["Scan", "GetRecords", "DescribeTable"])
def test_a_flood_is_refused_within_the_memory_limit(ferry, op):
    """An answer of a gigabyte instead of a page."""
    table = ferry.add_table()
    flood = ferry.fake.control.fault("flood", op=op, bytes=1 << 30, predicate=from_producer)
    _, writer, producer = begin(ferry, seed=42, table=table, wait=False)
    writer.start()
    assert ferry.fake.control.wait_used(flood)
    write_on(ferry, writer)
    status = Path(f"/proc/{producer.process.pid}/status").read_text()
    settle_log(ferry)
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    assert peak < 256 * 1024, f"{peak} kB at the peak"


def test_everything_compressed(ferry):
    ferry.fake.control.set(gzip=True, shards=2)
    table, writer, _ = begin(ferry, seed=43, keys=300, padding=2000, **{"source.gzip": "on"})
    writer.start()
    write_on(ferry, writer, 100)
    settle_log(ferry)


def test_a_service_whose_clock_is_an_hour_ahead(ferry):
    """The signature's date follows the service's: a snapshot comes to its end all the same."""
    table = ferry.add_table(stream=None)
    ferry.writer(table, seed=44, keys=50).fill()
    ferry.fake.control.set(clock_offset_s=3600)
    done = ferry.run("producer", {"sync_mode": "full"})
    ferry.fake.control.set(clock_offset_s=0)
    assert done.process.returncode == 0, done.story()
    assert sum(record.is_row for record in ferry.log(table)) == 50


# --- the barrier ---


def test_changes_wait_for_a_page_that_was_read_at_an_early_moment(ferry):
    """The page is read, then held; what is written meanwhile must come after it in the log."""
    table = ferry.add_table()
    page = ferry.fake.control.fault("hold", op="Scan", when="after", predicate=from_producer)
    _, writer, _ = begin(ferry, seed=45, table=table, **{"full.read.concurrency": 1})
    assert ferry.fake.control.wait_held(page)
    writer.start()
    write_on(ferry, writer, 100)
    # one batch of changes is received and waits in memory; the shard is not asked for more meanwhile
    assert ferry.fake.control.wait_requests("GetRecords", 1), "changes are not read beside a page"
    early = [r for r in ferry.log(table, "read_uncommitted") if not r.bad and r.is_change]
    assert not early, f"{len(early)} changes went past a page that was asked for before them"
    ferry.fake.control.release(page)
    settle_log(ferry)
    log = ferry.log(table)
    rows = [r for r in log if r.is_row]
    assert len(rows) == 60 and any(r.is_change for r in log)


def test_pages_late_at_random_beside_a_writer(ferry):
    """Several segments, every page late by another time: no row is older than a change before it."""
    table = ferry.add_table(KeySchema(("pk",), ("N",)))
    for number, seconds in enumerate((0.05, 0.15, 0.4)):
        ferry.fake.control.fault("delay", op="Scan", seconds=seconds, when="after", times=-1, chance=0.3,
                                 predicate=from_producer, skip=number)
    settings = {"qps.full.batch_num": 10, "full.read.concurrency": 4}
    table, writer, _ = begin(ferry, seed=46, keys=240, rate=200, table=table, **settings)
    writer.start()
    wait_phase(ferry, table, "tail", 120)
    write_on(ferry, writer)
    settle_log(ferry)


# --- gaps: what can't be told apart from loss ---


def gap_of(ferry, table, other, writer):
    """The table stands in a gap with a reason, its neighbour goes on, the program lives."""
    wait_phase(ferry, table, "gap")
    assert ferry.ledger()[0][f"table/{table.name}"]["reason"]
    writer.start()
    write_on(ferry, writer)
    ferry.stop_writers()
    ferry.wait_caught_up(tables=[other])
    complain(ferry.verify_log(other))


@pytest.mark.parametrize("how", ["new stream", "recreated", "unread shard gone"])
def test_a_gap_stops_its_table_in_a_clear_state_and_no_other(ferry, how):
    table, other = ferry.add_table(), ferry.add_table()
    for t in (table, other):
        ferry.writer(t, seed=47, keys=30, rate=100).fill()
    ferry.producer()
    for t in (table, other):
        wait_phase(ferry, t, "tail")
    if how == "new stream":
        ferry.fake.control.new_stream(table.name)
    elif how == "recreated":
        ferry.fake.control.recreate(table.name)
    else:
        ferry.fake.control.vanish(table.name, ferry.fake.control.shards(table.name)[0]["id"])
        ferry.fake.control.expire_iterators()
    gap_of(ferry, table, other, ferry.writers[1])


# --- the plain cases, the same as against DynamoDB Local ---


def test_the_plain_workload_arrives_as_from_dynamodb_local(ferry):
    ferry.fake.control.set(shards=3)
    for table in workload.all_tables(f"t{ferry.tag}-"):
        table.create(ferry.dynamodb)
        ferry.tables.append(table)
    for table in ferry.tables:
        ferry.writer(table, seed=48, keys=40, rate=12).fill()
    databases = {f"{ferry.database}_{kind}": kind for kind in ("raw", "change")}
    ferry.producer()
    for name, kind in databases.items():
        ferry.consumer({"id": name, "convert.type": kind})
    for writer in ferry.writers:
        writer.start()
    for writer in ferry.writers:
        wait_until(lambda: writer.written >= 100, 90, f"writes to {writer.table.name}", ferry.running())
    ferry.settle(120, databases)
    problems = []
    for table in ferry.tables:
        problems += ferry.verify_log(table)
        for name, kind in databases.items():
            problems += ferry.verify_target(table, kind, database=name)
    complain(problems)


def test_an_item_spelled_in_two_ways_is_one_item(ferry):
    """Streams that escape, reorder and write numbers with exponents, as Scan does not: one key, one partition."""
    ferry.fake.control.set(quirks=True)
    table = ferry.add_table(KeySchema(("pk", "sk"), ("N", "S")))
    _, writer, _ = begin(ferry, seed=49, table=table, **{"convert.type": "change"})
    ferry.consumer({"convert.type": "change"})
    writer.start()
    write_on(ferry, writer, 200)
    ferry.stop_writers()
    ferry.wait_caught_up()
    log, source = ferry.log(table), ferry.source(table)
    for record in log:
        record.after = plain_item(record.after)
    for change in source.changes:
        change.image = plain_item(change.image)
    partitions = topic_check.partitions_of(ferry.parts.kafka, ferry.topic(table))
    items = [plain_item(item) for item in ferry.items(table)]
    complain(topic_check.check_log(log, source, items, partitions, ferry.prefix, table.name))
    ferry.wait_applied()
    complain(ferry.verify_target(table, "change"))


def test_a_scan_that_ignores_segments_shows_no_wrong_value(ferry):
    """Some emulators give every segment the whole table: rows twice, but MongoDB is right."""
    ferry.fake.control.set(ignore_segments=True)
    table, writer, _ = begin(ferry, seed=50, **{"full.read.concurrency": 3})
    ferry.consumer()
    writer.start()
    write_on(ferry, writer, 60)
    ferry.settle()
    complain(ferry.verify_target(table, "raw"))


def test_a_held_answer_does_not_hold_other_tables(ferry):
    """One table's page never comes; the neighbour is read and committed all the same."""
    slow, other = ferry.add_table(), ferry.add_table()
    for t in (slow, other):
        ferry.writer(t, seed=51, keys=30, rate=100).fill()
    page = ferry.fake.control.fault("hold", op="Scan", where={"TableName": slow.name}, times=-1,
                                    predicate=from_producer)
    ferry.producer()
    assert ferry.fake.control.wait_held(page)
    ferry.writers[1].start()
    write_on(ferry, ferry.writers[1])
    ferry.writers[1].stop()
    ferry.wait_caught_up(tables=[other])
    complain(ferry.verify_log(other))
    ferry.fake.control.release(page)
    settle_log(ferry)


def test_the_producer_ends_in_time_while_an_answer_is_held(ferry):
    """SIGTERM does not wait for a page that never comes."""
    table = ferry.add_table()
    page = ferry.fake.control.fault("hold", op="Scan", times=-1, predicate=from_producer)
    _, _, producer = begin(ferry, seed=52, table=table, wait=False)
    assert ferry.fake.control.wait_held(page)
    done = threading.Event()
    ender = threading.Thread(target=lambda: (producer.sigterm(), done.set()))
    ender.start()
    ender.join(30)
    assert done.is_set()
    ferry.fake.control.clear()
    ferry.producer()
    settle_log(ferry)

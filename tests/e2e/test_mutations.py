"""Each named rule, broken on purpose, turns a check red: the tests would notice.

The programs of build/mutation look at DYNAFERRY_MUTATION. A scenario is the smallest that needs the rule; it
returns what the checks complain about. DYNAFERRY_CONTROLS=1 also runs each scenario with no rule broken, which
must be silent.
"""

import os
import re
import subprocess

import pytest
from confluent_kafka import Producer
from support.generations import generation_of
from support.oracle import KeySchema
from support.repair_requests import ask, handled
from support.running import ROOT, bin_dir, build_or_skip, wait_until
from support.scripted_source import from_producer, held_cut_batch, told
from support.workload import NASTY_NUMBERS


class Broken:
    """A bridge whose programs have one rule broken (None: no rule)."""

    def __init__(self, bridge, name):
        self.bridge = bridge
        self.more = {"build": "mutation", "env": {"DYNAFERRY_MUTATION": name} if name else {}}

    def producer(self, settings=()):
        return self.bridge.producer(settings, **self.more)

    def consumer(self, settings=()):
        return self.bridge.consumer(settings, **self.more)


def within(predicate, seconds=20):
    """Whether it comes true; a rule that holds keeps it from that, so waiting in vain is no error. Less than the
    minute that an answer may be held."""
    try:
        return wait_until(predicate, seconds, "what only a broken rule allows")
    except AssertionError:
        return False


def settled_or_problem(bridge, consumer=True, tables=None):
    """A broken rule may keep the bridge from ever catching up: that is a complaint as well."""
    bridge.stop_writers()
    try:
        bridge.wait_caught_up(30, tables)
        if consumer:
            bridge.wait_applied(30)
    except AssertionError as error:
        return [f"never settled: {error}"]
    return []


# --- scenarios ---


def nasty_items(bridge, broken):
    """Every number as an attribute, keys that have several spellings, items no document can hold."""
    table = bridge.add_table(KeySchema(("pk",), ("S",)))
    writer = bridge.writer(table, seed=1, keys=40, refused=0.2)
    writer.fill()
    for i, number in enumerate(NASTY_NUMBERS):
        item = {"pk": {"S": f"\U0001f600 {i}"}, "v": {"N": "1"}, "n": {"N": number}}
        bridge.dynamodb.put_item(TableName=table.name, Item=item)
    broken.producer()
    bridge.wait_caught_up()
    for index in range(writer.ordinary):
        writer.put(index)
    bridge.wait_caught_up()
    # Only now: so a batch holds several events of an item.
    broken.consumer({"convert.type": "change"})
    problems = settled_or_problem(bridge)
    return (
        problems
        + bridge.verify_log(table)
        + bridge.verify_target(table, "change")
        + bridge.verify_dead_letters(table, "change")
    )


def slow_page(bridge, broken):
    """A page that shows an early moment is answered after changes of its items were received."""
    table = bridge.add_table()
    writer = bridge.writer(table, seed=2, keys=30, refused=0)
    writer.fill()
    fault = bridge.fake.control.fault("hold", op="Scan", when="after")
    broken.producer({"full.read.concurrency": 1})
    assert bridge.fake.control.wait_held(fault)
    for index in range(writer.ordinary):
        writer.put(index)
    # The fill may be in the log as changes; the puts may not before the page.
    within(lambda: any(r.is_change and r.after["v"]["N"] == "2" for r in bridge.log(table)))
    bridge.fake.control.release(id=fault)
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def page_across_an_abort(bridge, broken):
    """A page asked for before an abort is answered after it, when it was asked for again. The abort is the
    doing of another table of the same handle, one of whose batches is cut."""
    table, other = bridge.add_table(), bridge.add_table()
    bridge.writer(table, seed=3, keys=400, refused=0).fill()
    fault = bridge.fake.control.fault(
        "hold", op="Scan", where={"TableName": table.name, "Segment": 0}, skip=1
    )
    # Meanwhile rows of the other segment flow: one page per second.
    where = {"TableName": table.name, "Segment": 1}
    slow = bridge.fake.control.fault("delay", op="Scan", where=where, seconds=1, times=-1)
    settings = {"ledger.partitions": 1, "full.read.concurrency": 2, "qps.full.batch_num": 4}
    producer = broken.producer(settings | {"commit.interval.ms": 5000})
    assert bridge.fake.control.wait_held(fault)
    wait_until(lambda: bridge.phase(other) == "tail", 60, "the other table", [producer])
    cut = held_cut_batch(bridge, other)
    commits = lambda: producer.metric("dynaferry_producer_commits_total")
    before = commits()
    wait_until(lambda: commits() > before, 30, "a commit", [producer])
    wait_until(lambda: bridge.transaction_open([table]), 30, "rows in an open transaction", [producer])
    bridge.fake.control.release(id=cut)
    wait_until(lambda: "transaction aborted" in producer.log(), 30, "an aborted transaction", [producer])
    rows = len(bridge.log(table))
    within(lambda: len(bridge.log(table)) > rows)
    bridge.fake.control.release(id=fault)
    bridge.fake.control.release(id=slow)
    return settled_or_problem(bridge, False, [table]) + bridge.verify_log(table)


def slow_repair(bridge, broken):
    """A repair that shows an early moment is answered after changes of its items were received."""
    table = bridge.add_table()
    writer = bridge.writer(table, seed=8, keys=20, refused=0)
    writer.fill()
    producer = broken.producer()
    offset = lambda: bridge.ledger()[0].get(f"table/{table.name}", {}).get("signal_offset", -1)
    wait_until(lambda: bridge.phase(table) == "tail" and offset() == 0, 60, "the snapshot's end", [producer])
    fault = bridge.fake.control.fault("hold", op="BatchGetItem", when="after")
    send_repair(bridge, table, writer.texts[: writer.ordinary])
    assert bridge.fake.control.wait_held(fault)
    for index in range(writer.ordinary):
        writer.put(index)
    within(lambda: any(r.is_change and r.after["v"]["N"] == "2" for r in bridge.log(table)))
    bridge.fake.control.release(id=fault)
    wait_until(lambda: offset() == 1, 30, "the repair", [producer])
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def send_repair(bridge, table, keys):
    head = f'"id":"x","type":"repair","table":"{table.name}","sender":"test","ts_ms":1'
    value = '{%s,"keys":[%s]}' % (head, ",".join(key.decode() for key in keys))
    producer = Producer({"bootstrap.servers": bridge.parts.kafka})
    producer.produce(f"{bridge.prefix}-signal", value, table.name)
    assert producer.flush(30) == 0


def commits_all_the_time(bridge, broken):
    """Pages larger than the client's queue, so that each is appended over many commits' time."""
    table = bridge.add_table()
    bridge.writer(table, seed=4, keys=1000, refused=0).fill(padding=300)
    settings = {"ledger.partitions": 1, "commit.interval.ms": 1, "kafka.queue.buffering.max.messages": 20}
    broken.producer(settings | {"full.read.concurrency": 4, "qps.full.batch_num": 100})
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def slow_parent(bridge, broken):
    """A shard splits while nobody reads; its last records are answered after its children's could have been."""
    table = bridge.add_table()
    writer = bridge.writer(table, seed=5, keys=20, refused=0)
    writer.fill()
    producer = broken.producer()
    bridge.wait_caught_up()
    producer.sigterm(30)
    parent = bridge.fake.control.shards(table=table.name)[-1]["id"]
    for index in range(writer.ordinary):
        writer.put(index)
    bridge.fake.control.split(table=table.name)
    for index in range(writer.ordinary):
        writer.put(index)
    fault = bridge.fake.control.fault("hold", op="GetRecords", where={"ShardId": parent}, when="before")
    broken.producer()
    assert bridge.fake.control.wait_held(fault)
    within(lambda: any(r.is_change and r.after["v"]["N"] == "3" for r in bridge.log(table)))
    bridge.fake.control.release(id=fault)
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def killed_before_the_write(bridge, broken):
    """The consumer dies while a write of documents is held and never executed."""
    from fakes.mongo_proxy import MongoProxy

    table = bridge.add_table()
    writer = bridge.writer(table, seed=6, keys=20, refused=0)
    writer.fill()
    broken.producer()
    with MongoProxy(bridge.parts.mongodb) as proxy:
        consumer = broken.consumer({"target.address": proxy.uri})
        bridge.wait_caught_up()
        bridge.wait_applied()
        fault = proxy.control.fault("hold", op="update", where={"collection": table.name}, times=-1)
        for index in range(writer.ordinary):
            writer.put(index)
        bridge.wait_caught_up()
        assert proxy.control.wait_held(fault)
        log = bridge.log(table)
        within(lambda: not bridge.unapplied(table, log), 5)
        consumer.kill9()
        broken.consumer({"target.address": bridge.parts.mongodb})
        return settled_or_problem(bridge) + bridge.verify_target(table, "raw")


def too_large(bridge, broken):
    """A row and a change that no message can hold."""
    table = bridge.add_table()
    item = {"v": {"N": "1"}, "text": {"S": "x" * 200_000}}
    bridge.writer(table, seed=7, keys=20, refused=0).fill()
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "large row"}, **item})
    broken.producer({"topic.max.message.bytes": 100_000})
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "large change"}, **item})
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "small"}, "v": {"N": "1"}})
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def refused_in_company(bridge, broken):
    """A change that the broker refuses, in one batch with changes that it would take."""
    table = bridge.add_table(KeySchema(("pk", "sk"), ("S", "N")))
    broken.producer()
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    fault = bridge.fake.control.fault("hold", op="GetRecords", where={"TableName": table.name})
    assert bridge.fake.control.wait_held(fault)
    bridge.limit_messages(table, 10_000)
    for number in range(10):
        item = {"pk": {"S": "one partition"}, "sk": {"N": str(number)}, "v": {"N": "1"}}
        noise = {"noise": {"B": os.urandom(20_000)}} if number == 5 else {}
        bridge.dynamodb.put_item(TableName=table.name, Item=item | noise)
    bridge.fake.control.release(id=fault)
    problems = settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)
    dead = sorted(letter["keys"]["sk"]["N"] for letter in bridge.dead_letters()[0])
    return problems + ([] if dead == ["5"] else [f"dead letters of {dead}"])


def put(bridge, table, value, key="x"):
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": key}, "v": {"N": str(value)}})


def version_in_log(bridge, table, value):
    return any(r.is_change and r.after["v"]["N"] == str(value) for r in bridge.log(table))


def a_parent_listed_after_its_child(bridge, broken):
    """A generation adopts an open shard whose parent is listed when the child was read already."""
    control = bridge.fake.control
    table = bridge.add_table()
    for value in range(3):
        put(bridge, table, value)
    parent = control.shards(table=table.name)[0]["id"]
    control.roll(table=table.name)
    put(bridge, table, 100)
    control.hide(table=table.name, shards=[parent])
    broken.producer()
    wait_until(lambda: version_in_log(bridge, table, 100), 60, "the child's record", bridge.running())
    control.show(table=table.name)
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def a_root_listed_first_after_a_day(bridge, broken):
    """It was there when the generation began, and its oldest changes are trimmed by now: that is a gap."""
    control = bridge.fake.control
    control.set(shards=2)
    table = bridge.add_table()
    hidden = control.shards(table=table.name)[1]["id"]
    control.hide(table=table.name, shards=[hidden])
    broken.producer({"on_gap": "fail"})
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    for number in range(20):
        put(bridge, table, 1, f"key {number}")
    listed = [c.place for c in told(bridge.fake, table).changes if c.shard != hidden]
    read = lambda: {r.place for r in bridge.log(table) if r.is_change} >= set(listed)
    wait_until(read, 60, "what is listed in the log", bridge.running())
    control.set(clock_offset_s=25 * 3600, check_signature=False)
    control.show(table=table.name)
    known = lambda: f"shard/{table.name}/{hidden}" in bridge.ledger()[0]
    wait_until(known, 90, "the late shard's record", bridge.running())
    gap = lambda: bridge.phase(table) == "gap"
    return [] if within(gap) else ["changes were trimmed unread, and no gap is told"]


def a_first_record_in_an_abort(bridge, broken):
    """First records of two shards are taken back by an abort, their child's is committed; killed, and gone on
    from the ledger while the two are not listed."""
    control = bridge.fake.control
    control.set(shards=2, shard_filter="ignored")
    table = bridge.add_table()
    control.set(shards=1)
    other = bridge.add_table()
    control.set(late_listing_s=3600)
    put(bridge, table, 1)
    first = control.history(table=table.name)[-1]["shard"]
    (beside,) = (s["id"] for s in control.shards(table=table.name) if s["id"] != first)
    settings = {"ledger.partitions": 1, "commit.interval.ms": 5000}
    producer = broken.producer(settings)
    for each in (table, other):
        wait_until(lambda: bridge.phase(each) == "tail", 60, "the snapshot's end", [producer])
    unread = control.fault("hold", op="GetRecords", where={"ShardId": first}, times=-1)
    assert control.wait_held(unread)
    control.split(table=table.name, shard=beside, children=1)  # its child is looked for all the time
    shards = [first]
    for value in (10, 20, 30):
        put(bridge, table, value)
        shards += control.split(table=table.name, shard=shards[-1], children=1)
    put(bridge, table, 40)
    cut = held_cut_batch(bridge, other)
    commits = lambda: producer.metric("dynaferry_producer_commits_total")
    before = commits()
    put(bridge, table, 1, "beside")
    wait_until(lambda: commits() > before, 30, "a commit", [producer])
    control.show(table=table.name, shards=shards[1:3])
    wait_until(lambda: "shards found" in producer.log(), 30, "the shards", [producer])
    control.release(id=cut)
    wait_until(lambda: "transaction aborted" in producer.log(), 30, "an aborted transaction", [producer])
    control.show(table=table.name, shards=shards[3:])
    youngest = f"shard/{table.name}/{shards[3]}"
    wait_until(lambda: youngest in bridge.ledger()[0], 60, "the youngest shard's record", [producer])
    producer.kill9()
    control.hide(table=table.name, shards=shards[1:3])
    control.clear()
    broken.producer(settings)
    within(lambda: version_in_log(bridge, table, 40))
    control.show(table=table.name)
    return settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)


def a_clock_a_day_behind(bridge, broken):
    """The service's clock is 30 h ahead of ours, and trimmed what was not read yet: that is a gap."""
    control = bridge.fake.control
    table = bridge.add_table()
    producer = broken.producer()
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", [producer])
    put(bridge, table, 1)
    bridge.wait_caught_up()
    producer.sigterm(30)
    put(bridge, table, 2)
    control.trim(table=table.name)
    control.set(clock_offset_s=30 * 3600, check_signature=False)
    put(bridge, table, 3, "y")
    broken.producer({"on_gap": "fail"})
    gap = lambda: bridge.phase(table) == "gap"
    wait_until(lambda: gap() or version_in_log(bridge, table, 3), 60, "a gap, or a record", bridge.running())
    return [] if within(gap) else ["a record was trimmed unread, and no gap is told"]


def empty_answers(bridge, broken):
    """A shard's answers are empty for a while, though it holds a record."""
    control = bridge.fake.control
    table = bridge.add_table()
    shard = control.shards(table=table.name)[0]["id"]
    asks = control.fault("hold", op="GetShardIterator", where={"ShardId": shard})
    broken.producer()
    assert control.wait_held(asks)
    wait_until(lambda: bridge.phase(table) == "tail", 60, "the snapshot's end", bridge.running())
    complete_to = lambda: bridge.ledger()[0][f"shard/{table.name}/{shard}"]["complete_to_ms"]
    before = complete_to()
    put(bridge, table, 1)
    control.set(clock_offset_s=600, check_signature=False)
    control.fault("empty", op="GetRecords", where={"ShardId": shard}, times=-1)
    control.release(id=asks)
    control.wait_requests("GetRecords", count=4)
    moved = within(lambda: complete_to() > before + 300_000, 10)
    control.clear()
    problems = settled_or_problem(bridge, consumer=False) + bridge.verify_log(table)
    return problems + (["complete to now, with a record unread"] if moved else [])


def a_new_generation_asked_for(bridge, broken):
    """With on_gap = fail only the record of the request's gap says that one begins."""
    table = bridge.add_table()
    put(bridge, table, 1)
    producer = broken.producer({"on_gap": "fail"})
    wait_until(lambda: bridge.phase(table) == "tail" and handled(bridge, table) >= 0, 60, "the table", [producer])
    before = generation_of(bridge, table)
    ask(bridge, table, "snapshot", generation=before)
    begun = lambda: generation_of(bridge, table) > before and bridge.phase(table) == "tail"
    return [] if within(begun, 30) else [f"no new generation: {bridge.phase(table)}"]


def a_day_behind_the_look(bridge, broken):
    """The machine stands still for a day between the look at a position and its iterator."""
    control = bridge.fake.control
    table = bridge.add_table()
    put(bridge, table, 1)
    held = control.fault("hold", op="GetShardIterator", when="before", predicate=from_producer)
    broken.producer({"on_gap": "fail"})
    assert control.wait_held(held)
    put(bridge, table, 2)
    control.set(clock_offset_s=25 * 3600, trust_boto=True)
    put(bridge, table, 3, "y")
    control.release(id=held)
    gap = lambda: bridge.phase(table) == "gap"
    wait_until(lambda: gap() or version_in_log(bridge, table, 3), 60, "a gap, or a record", bridge.running())
    return [] if within(gap) else ["a record was trimmed unread, and no gap is told"]


# name of the rule -> its scenario, and a complaint it must bring
MUTATIONS = {
    "barrier": (slow_page, "a row as of"),
    "epoch": (page_across_an_abort, "a second row|no record|is missing|segments count"),
    "repair_ticket": (slow_repair, "a row as of"),
    # Half a page is committed, or, on a slow machine, appends and commits disturb each other for good.
    "gate": (commits_all_the_time, "a second row|a second time|segments count|is missing|never settled"),
    "parent": (slow_parent, "after a newer change|after .* of its shard"),
    "recorded": (a_first_record_in_an_abort, "after a newer change|never settled|position , the log ends"),
    "late_parent": (a_parent_listed_after_its_child, "after a newer change|after .* of its shard"),
    "late_root": (a_root_listed_first_after_a_day, "no gap is told"),
    "service_time": (a_clock_a_day_behind, "no gap is told"),
    "day_between": (a_day_behind_the_look, "no gap is told"),
    "renew": (a_new_generation_asked_for, "no new generation"),
    "unproven": (empty_answers, "complete to now"),
    "canonical_key": (nasty_items, "canonical|wrong partition"),
    "number": (nasty_items, " expected, "),
    "conversion": (nasty_items, " expected, "),
    "dead_letter": (nasty_items, "no dead letter"),
    "dedupe": (nasty_items, r"v: .* expected, "),
    "skipped": (too_large, "is missing"),
    "alone": (refused_in_company, "dead letters of"),
    "position_first": (killed_before_the_write, " expected, |no document"),
}
NEED_FAKE = {
    slow_page,
    page_across_an_abort,
    slow_parent,
    slow_repair,
    refused_in_company,
    a_first_record_in_an_abort,
    a_parent_listed_after_its_child,
    a_root_listed_first_after_a_day,
    a_clock_a_day_behind,
    a_day_behind_the_look,
    empty_answers,
}


def run(request, name, scenario):
    build_or_skip()
    bridge = request.getfixturevalue("scripted" if scenario in NEED_FAKE else "bridge")
    if scenario in NEED_FAKE:
        bridge.source = lambda table: told(bridge.fake, table)
    return scenario(bridge, Broken(bridge, name))


def test_every_rule_that_can_be_broken_is_here_or_named_elsewhere():
    """Late writers have their own scenes in test_late_writer.py, a partition's owners in test_partition_life.py,
    sweeps in test_sweep_rules.py; the models of a table and of generations, and test_position_store.c, see the rest."""
    sources = [path for stage in ("common", "producer", "consumer") for path in (ROOT / stage).rglob("*.c")]
    names = {name for path in sources for name in re.findall(r"MUTATED\((\w+)\)", path.read_text())}
    scenes = {"heal", "stray", "unacknowledged", "note", "sweep_order"}
    assert names == set(MUTATIONS) | scenes | {"pass", "sweep_check", "take_pass", "pause_at_end"}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_rule_is_noticed(request, name):
    scenario, complaint = MUTATIONS[name]
    problems = run(request, name, scenario)
    print(*problems[:10], sep="\n")
    assert any(re.search(complaint, str(problem)) for problem in problems), problems


@pytest.mark.parametrize(
    "program,name",
    [
        ("test_position_model", "unacknowledged"),
        ("test_position_model", "stray"),
        ("test_position_model", "heal"),
        ("test_position_store", None),
        ("test_position_store", "take_pass"),
    ],
)
def test_a_unit_test_notices(program, name):
    """The model of positions tries every order of small cases (with no rule broken, as a unit test); the other
    program sees what taking over compares."""
    build_or_skip()
    environment = {**os.environ, "DYNAFERRY_MUTATION": name or ""}
    done = subprocess.run([bin_dir("mutation") / program], env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode == 0) == (name is None), done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.campaign
@pytest.mark.skipif(not os.environ.get("DYNAFERRY_GENERATION_MODEL"), reason="DYNAFERRY_GENERATION_MODEL is not set")
def test_the_model_of_generations_holds_in_its_larger_cases():
    done = subprocess.run([bin_dir() / "test_generation_model"], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.campaign
@pytest.mark.skipif(not os.environ.get("DYNAFERRY_TABLE_MODEL"), reason="DYNAFERRY_TABLE_MODEL is not set")
def test_the_model_of_tables_holds_in_its_larger_cases():
    done = subprocess.run([bin_dir() / "test_table_model"], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.campaign
@pytest.mark.skipif(not os.environ.get("DYNAFERRY_CONTROLS"), reason="DYNAFERRY_CONTROLS is not set")
@pytest.mark.parametrize("scenario", sorted({s for s, _ in MUTATIONS.values()}, key=lambda s: s.__name__))
def test_no_rule_broken_is_silent(request, scenario):
    assert run(request, None, scenario) == []

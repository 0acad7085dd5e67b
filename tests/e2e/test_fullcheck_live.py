"""dynaferry-fullcheck beside the other programs: while changes flow, after damage, and where a rule is broken."""

import os
import subprocess
import time
from collections import Counter

import pytest
from support import workload
from support.bridge import Bridge
from support.fullcheck_cases import n, s
from support.fullcheck_tool import STATIC, Checker, Found, documents_of, fill_source, fill_target
from support.oracle import KeySchema
from support.running import PATIENCE, ROOT, WORKER, build_or_skip, wait_until
from support.workload import NASTY_NUMBERS

COMPOUND = KeySchema(("pk", "sk"), ("S", "N"))
BATCH = 25
LAG = str(6 * PATIENCE)  # seconds that the target may lag behind, at most


class BatchWriter(workload.Writer):
    """Writes batches of puts and deletes, so that one thread makes some hundred changes per second; `rate` is of
    changes."""

    def __init__(self, client, table, seed, rate, **more):
        super().__init__(client, table, seed, rate=rate / BATCH, refused=0, **more)
        self.batch = min(BATCH, self.ordinary)
        # Made before: to make them costs more than to write them.
        self.made = [self.values.attributes(self.table.key_schema.names) for _ in range(300)]

    def step(self):
        chosen = self.rng.sample(range(self.ordinary), self.batch)
        requests = {self.table.name: [self.request(i) for i in chosen]}
        answer = self.client.batch_write_item(RequestItems=requests)
        assert not answer.get("UnprocessedItems")

    def request(self, index):
        if self.rng.random() < 0.2:
            self.written += 1
            return {"DeleteRequest": {"Key": self.keys[index]}}
        item = {**self.keys[index], **self.rng.choice(self.made), "v": self.next_version(index)}
        return {"PutRequest": {"Item": item}}


def batch_writer(bridge, table, seed, **more):
    writer = BatchWriter(bridge.dynamodb, table, seed, **more)
    bridge.writers.append(writer)
    return writer


def in_tail(bridge, seconds=60):
    for table in bridge.tables:
        wait_until(lambda: bridge.phase(table) == "tail", seconds, "the snapshot's end", bridge.running())


# --- while changes flow ---


@pytest.fixture
def quick(parts, directory):
    """A bridge from a DynamoDB Local of its own: one that holds the streams of other tests takes a tenth of the
    writes."""
    kept = {name: value for name, value in os.environ.items() if name != "DYNAFERRY_TEST_DYNAMODB"}

    def part(verb):
        command = [ROOT / "scripts" / "parts", "--dir", directory / "parts", verb, "dynamodb"]
        return subprocess.run(command, env=kept, check=True, stdout=subprocess.PIPE, text=True).stdout

    part("start")
    found = Bridge(parts, directory, part("env").strip().partition("=")[2])
    yield found
    complaints = found.close()
    part("clean")
    assert not complaints, "\n".join(complaints)


def checked_beside(bridge, check, writers, modes):
    """Checks in all modes while changes flow; how many did."""
    goals = [writer.written + 2 * BATCH for writer in writers]
    flows = lambda: all(w.written >= goal for w, goal in zip(writers, goals))
    wait_until(flows, 60, "changes", bridge.running())
    began, before = time.monotonic(), sum(writer.written for writer in writers)
    for mode in modes:  # with few threads: the machine is to have something left for the writers
        check.run("-p", "2", "--settle", str(10 * PATIENCE), settings=mode).complain()
    seen = sum(writer.written for writer in writers) - before
    print(f"{seen} changes, {seen / (time.monotonic() - began):.0f} a second")
    return seen


def test_nothing_is_reported_while_500_changes_a_second_flow(quick):
    """Three tables, one of them with 20 keys that change all the time; both conversions."""
    bridge = quick
    tables = [bridge.add_table(), bridge.add_table(COMPOUND), bridge.add_table()]
    writers = [
        batch_writer(bridge, table, seed, keys=keys, rate=rate)
        for seed, (table, keys, rate) in enumerate(zip(tables, (1500, 1500, 20), (300, 300, 150)))
    ]
    for writer in writers:
        writer.fill()
    modes = [
        {"convert.type": "raw"},
        {"id": f"{bridge.database}_change", "convert.type": "change", "target.id": "key"},
    ]
    bridge.producer()
    for mode in modes:
        bridge.consumer(mode)
    in_tail(quick)
    for mode in modes:
        bridge.wait_applied(database=mode.get("id"))
    for writer in writers:
        writer.start()
    check, seen, rounds = Checker(bridge), 0, 0
    while rounds < 2 or seen < 1000:
        seen += checked_beside(bridge, check, writers, modes)
        rounds += 1
        assert rounds < 30, "hardly anything flows"
    bridge.settle(databases=[mode.get("id") for mode in modes])
    for mode in modes:
        check.run(*STATIC, settings=mode).complain()


# --- repair ---


def plant(collection, table, missing=(), different=(), extra=()):
    """Takes documents away, damages some, and adds some whose items are not there; what is wrong now."""
    found = Counter()
    for item in missing:
        assert collection.delete_one({"pk.S": item["pk"]["S"]}).deleted_count == 1
        found[Found.of_item(table, item, "missing")] += 1
    for item in different:
        collection.update_one({"pk.S": item["pk"]["S"]}, {"$set": {"text": {"S": "damaged"}}})
        found[Found.of_item(table, item, "different", [("text",)])] += 1
    for item in extra:
        other = item | {"pk": s("extra " + item["pk"]["S"])}
        collection.insert_many(documents_of([other], table.key_schema, "raw"))
        found[Found.of_item(table, other, "extra")] += 1
    return found


def test_a_repair_beside_a_writer_makes_both_ends_equal(bridge):
    table, other = bridge.add_table(), bridge.add_table()
    items = [{"pk": s(f"repair {i}"), "text": s("right"), "v": n("1")} for i in range(60)]
    for each in (table, other):
        fill_source(bridge.dynamodb, each, items)
    writers = [batch_writer(bridge, t, seed, keys=200, rate=50) for seed, t in enumerate((table, other))]
    for writer in writers:
        writer.fill()
    bridge.producer()
    bridge.consumer()
    in_tail(bridge)
    bridge.wait_applied()
    for writer in writers:
        writer.start()
    collection = bridge.target()[table.name]
    planted = plant(collection, table, items[::3], items[1::3], items[2::3])
    check = Checker(bridge)
    report = check.run("--settle", LAG)
    assert report.code == 1 and report.found == planted
    report = check.run("--settle", LAG, "--repair")
    assert report.code == 0 and report.found == planted, report.log[-3000:]
    assert all(line["repaired"] is True for line in report.lines)
    assert report.table(table)["repaired"] == len(items) and report.table(other)["repaired"] == 0
    check.run("--settle", LAG).complain()
    bridge.settle()
    bridge.verify()
    check.run(*STATIC).complain()


@pytest.fixture(scope="module")
def untaken(parts):
    """A repair for which no producer is there: it takes a minute, so it runs beside the other tests."""
    directory = ROOT / "build" / "e2e" / f"test_fullcheck_live-untaken{WORKER}"  # each worker has one
    directory.mkdir(parents=True, exist_ok=True)
    bridge = Bridge(parts, directory)
    table = bridge.add_table()
    items = [{"pk": s(f"repair {i}"), "text": s("right")} for i in range(6)]
    fill_source(bridge.dynamodb, table, items)
    # Its topics are there, its owner is not.
    assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    fill_target(bridge.target()[table.name], items, table.key_schema, "raw")
    planted = plant(bridge.target()[table.name], table, items[:2], items[2:4])
    program = Checker(bridge).start(*STATIC, "--repair")
    yield program, planted
    complaints = bridge.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(autouse=True)
def beside(untaken):
    """Every test of this file has it running beside it."""


# --- where a rule is broken ---


def filled_by(bridge, rule):
    """The settings of a target that a consumer with this rule broken has filled."""
    settings = {"id": f"{bridge.database}_{rule}", "convert.type": "change"}
    env = {"DYNAFERRY_MUTATION": rule} if rule != "none" else {}
    bridge.consumer(settings, build="mutation", env=env)
    return settings


def test_a_broken_rule_of_the_conversion_is_found(bridge):
    build_or_skip()
    table = bridge.add_table()
    bridge.writer(table, seed=1, keys=100, refused=0).fill()
    numbers = [{"pk": s(f"number {i}"), "n": n(text)} for i, text in enumerate(NASTY_NUMBERS)]
    fill_source(bridge.dynamodb, table, [*numbers, {"pk": s("null"), "l": {"L": [{"NULL": True}]}}])
    bridge.producer()
    bridge.wait_caught_up()
    targets = {rule: filled_by(bridge, rule) for rule in ("none", "number", "conversion")}
    for settings in targets.values():
        bridge.wait_applied(database=settings["id"])
    check = Checker(bridge)
    check.run(*STATIC, settings=targets["none"]).complain()
    for rule, kinds in (("number", {"number", "set"}), ("conversion", {"null"})):
        report = check.run(*STATIC, settings=targets[rule])
        assert report.code == 1
        assert {place["source"]["type"] for line in report.lines for place in line["paths"]} <= kinds
    assert '{"pk":{"S":"null"}}' in report.keys()


# --- and in the end ---


def test_a_repair_that_nobody_takes_leaves_the_difference(untaken):
    program, planted = untaken
    report = program.report(120)
    assert report.code == 1 and report.found == planted
    assert not any("repaired" in line for line in report.lines)
    assert "not taken" in report.log

"""The order of a table's changes, and what is known to be complete, whatever an abort took back, in whatever
order a stream's shards are listed, however many answers are empty, whatever our clock says.

What must never happen: a change before an older one of its item, and changes that are missing while the table
looks well.
"""

import random
import re
import time

import pytest
from support.running import wait_until
from support.scripted_source import (
    asked, ferry, from_producer, ledger_messages, patient, put, settle_log, shard_record, told,
    wait_commit, wait_phase, write_ledger, write_on,
)  # fmt: skip
from support.topic_check import Source

HOUR_S = 3600
UNREAD = 5  # records that nobody has read yet
EMPTY_FOR_S = 4.5  # well over what three empty answers took when they counted as proof


@pytest.fixture
def clock(ferry):
    """Sets the service's clock, by seconds from ours; right again in the end."""
    yield lambda seconds: ferry.fake.control.set(clock_offset_s=seconds)
    for program in ferry.running():
        program.end()
    ferry.fake.control.set(clock_offset_s=0)


def carried(ferry, *tables, **settings):
    """A producer that carries these tables, each with one change of `x` in the log."""
    for table in tables:
        put(ferry, table, 1)
    producer = ferry.producer(settings)
    for table in tables:
        wait_phase(ferry, table, "tail")
    ferry.wait_caught_up()
    return producer


def shard_of_newest(ferry, table):
    return ferry.fake.control.history(table.name)[-1]["shard"]


def divide(ferry, table, values, shards, children=1):
    """Behind each value the shard of `x` closes; the last value goes into an open one. Adds the shards that
    had `x` to `shards`."""
    for value in values[:-1]:
        put(ferry, table, value)
        ferry.fake.control.split(table.name, shards[-1], children)
        put(ferry, table, value + 1)
        shards.append(shard_of_newest(ferry, table))
    put(ferry, table, values[-1])
    return shards


# --- what an abort takes back ---

ONE_HANDLE = {"ledger.partitions": 1, "commit.interval.ms": 5000}


class LostRecords:
    """The transaction that first names a shard and its descendants is aborted; they are not read before the
    producer is killed.

    Two more tables of the same handle bring about a commit, after which there are five seconds, and the abort
    (an answer that is cut). A second shard of the table gives cause to look at the stream again."""

    def __init__(self, ferry, children):
        self.ferry, self.control, self.children = ferry, ferry.fake.control, children
        self.bystander, self.cut = ferry.add_table(), ferry.add_table()
        self.control.set(shards=2, shard_filter="ignored")  # every look shows the whole list
        self.table = ferry.add_table()
        self.producer = carried(ferry, self.bystander, self.cut, self.table, **ONE_HANDLE)
        self.chain = [shard_of_newest(ferry, self.table)]
        (self.other,) = {s["id"] for s in self.control.shards(self.table.name)} - set(self.chain)
        (self.cut_shard,) = [s["id"] for s in self.control.shards(self.cut.name)]

    def hold(self, shard, times=-1):
        where = {"ShardId": shard}
        return self.control.fault("hold", op="GetRecords", where=where, times=times, predicate=from_producer)

    def record(self, shard):
        return f"shard/{self.table.name}/{shard}"

    def named(self, isolation):
        """Offsets of the first new shard's records in the ledger."""
        return {m.offset() for m in ledger_messages(self.ferry, self.record(self.chain[1]), isolation)}

    def lose(self, read_first):
        """The new shards are named, with `read_first` the first of them is also read, and nothing of it stays."""
        where = {"TableName": self.table.name}
        look = self.control.fault("hold", op="DescribeStream", where=where, predicate=from_producer)
        divide(self.ferry, self.table, (10, 20, 30, 40), self.chain, self.children)
        assert self.control.wait_held(look)
        unread = self.hold(self.chain[2 if read_first else 1])
        answer = self.hold(self.cut_shard, times=1)
        where = {"ShardId": self.cut_shard}
        self.control.fault("cut_json", op="GetRecords", where=where, keep=0.9, predicate=from_producer)
        assert self.control.wait_held(answer)
        for number in range(60):
            put(self.ferry, self.cut, 1, f"d{number}")
        wait_commit(self.ferry, self.producer, self.bystander)
        self.control.release(look)
        wait_until(lambda: self.named("read_uncommitted"), 30, "the shards in the ledger", [self.producer])
        if read_first:
            assert self.control.wait_held(unread)
            self.hold(self.chain[1])
        self.control.release(answer)
        wait_until(lambda: "transaction aborted" in self.producer.log(), 30, "the abort", [self.producer])
        assert self.named("read_uncommitted") - self.named("read_committed"), "committed before the abort"

    def find_more(self):
        """The youngest shard closes, and the other one, whose reader then asks for the children; what was
        found is committed."""
        divide(self.ferry, self.table, (50, 60), self.chain, self.children)
        (child,) = self.control.split(self.table.name, self.other, children=1)
        named = lambda: self.record(child) in self.ferry.ledger()[0]
        wait_until(named, 60, "the other shard's child", [self.producer])

    def crash(self):
        self.producer.kill9()
        self.control.clear()
        self.ferry.producer(ONE_HANDLE)


@pytest.mark.parametrize("read_first, children", [(False, 1), (True, 2)], ids=["named", "named and read"])
def test_shards_whose_first_records_an_abort_took_back_are_read_in_order_after_a_crash(
    ferry, read_first, children
):
    lost = LostRecords(ferry, children)
    lost.lose(read_first)
    lost.find_more()
    lost.crash()
    settle_log(ferry)


def test_shards_whose_first_records_an_abort_took_back_are_named_again(ferry):
    """In the next transaction: the ledger has no shard without its parent."""
    lost = LostRecords(ferry, 1)
    lost.lose(False)
    names = {lost.record(shard) for shard in lost.chain}
    wait_until(lambda: names <= set(ferry.ledger()[0]), 30, "all of them in the ledger", [lost.producer])
    lost.control.clear()
    settle_log(ferry)


@pytest.mark.parametrize("children", [1, 2])
def test_a_shard_that_the_ledger_does_not_know_is_read_before_its_child_that_it_knows(ferry, children):
    """As an abort and a crash can leave the ledger, and a listing that takes its time."""
    table, control = ferry.add_table(), ferry.fake.control
    control.set(shard_filter="ignored", page_shards=1)  # every look shows the whole list, in pages
    producer = carried(ferry, table)
    look = control.fault("hold", op="DescribeStream", where={"TableName": table.name}, predicate=from_producer)
    chain = divide(ferry, table, (10, 20, 30), [shard_of_newest(ferry, table)], children)
    assert control.wait_held(look)
    control.fault("hold", op="GetRecords", where={"ShardId": chain[1]}, times=-1, predicate=from_producer)
    control.release(look)
    wait_until(lambda: shard_record(ferry, table, chain[2]), 60, "the youngest in the ledger", [producer])
    producer.kill9()
    control.clear()
    write_ledger(ferry, f"shard/{table.name}/{chain[1]}", None)
    control.fault("delay", op="DescribeStream", seconds=1, times=2, predicate=from_producer)
    ferry.producer()
    settle_log(ferry)


# --- shards that are listed late ---


def show(ferry, table, shards):
    """They are listed from now on, and the shard of `x` closes, so that there is cause to look; returns when its
    child was found."""
    ferry.fake.control.show(table.name, shards)
    (child,) = ferry.fake.control.split(table.name, shard_of_newest(ferry, table), children=1)
    found = lambda: shard_record(ferry, table, child)
    wait_until(found, 90, "the child of the closed shard", ferry.running())


def wait_looks(ferry, count):
    """The stream is described so many times more."""
    seen = len(asked(ferry, "DescribeStream"))
    more = lambda: len(asked(ferry, "DescribeStream")) >= seen + count
    wait_until(more, 120, f"{count} descriptions", ferry.running())


LATE = {
    "the parent": (2, [[0]]),
    "the one in the middle": (3, [[1]]),
    "parent, then grandparent": (3, [[1], [0]]),
    "grandparent, then parent": (3, [[0], [1]]),
    "both at once": (3, [[0, 1]]),
    "four of five, the eldest first": (5, [[0], [1], [2], [3]]),
}


@pytest.mark.parametrize("late", LATE)
def test_ancestors_that_are_listed_after_the_adoption_are_not_read_behind_their_descendants(ferry, late):
    """They were closed when the generation began: its rows show what they hold."""
    count, steps = LATE[late]
    table, control = ferry.add_table(), ferry.fake.control
    control.set(shard_filter="ignored", page_shards=2)  # so that every look shows the whole list, in pages
    put(ferry, table, 1)
    values = [10 * (n + 1) for n in range(count)]
    chain = divide(ferry, table, values, [shard_of_newest(ferry, table)])
    control.hide(table.name, [chain[n] for step in steps for n in step])
    ferry.producer()
    wait_phase(ferry, table, "tail")
    for number, step in enumerate(steps):
        put(ferry, table, 1000 + 10 * number)
        show(ferry, table, [chain[n] for n in step])
        put(ferry, table, 1005 + 10 * number)
    settle_log(ferry)
    statuses = {shard_record(ferry, table, chain[n])["status"] for step in steps for n in step}
    assert statuses == {"no need to process"}


@pytest.mark.parametrize("looks", [0, 3])
def test_the_child_of_a_shard_that_was_closed_at_the_adoption_is_found_when_it_is_listed(ferry, looks):
    """`looks`: so many descriptions more come without it."""
    table, control = ferry.add_table(), ferry.fake.control
    put(ferry, table, 1)
    chain = divide(ferry, table, (10, 20), [shard_of_newest(ferry, table)])
    control.hide(table.name, chain[1:])
    ferry.producer()
    wait_phase(ferry, table, "tail")
    wait_looks(ferry, looks)
    control.show(table.name)
    put(ferry, table, 100)
    settle_log(ferry)


@pytest.mark.parametrize("answer", ["children", "ignored", "refused"])
def test_a_late_shard_between_a_done_one_and_its_grandchild_holds_the_grandchild(ferry, answer):
    """However the endpoint answers a question for children."""
    table, control = ferry.add_table(), ferry.fake.control
    control.set(shard_filter=answer)
    carried(ferry, table)
    chain = [shard_of_newest(ferry, table)]
    for value in (10, 20):
        put(ferry, table, value)
        chain += control.split(table.name, chain[-1], 1)
        control.hide(table.name, chain[1:2])
    put(ferry, table, 30)
    wait_looks(ferry, 3)
    control.show(table.name)
    settle_log(ferry)


def needed(ferry, closed):
    """The source's truth without shards that were closed at the adoption and that nobody listed since."""

    def source(table):
        truth, (ledger, _) = told(ferry.fake, table), ferry.ledger()
        listed = lambda shard: shard not in closed or f"shard/{table.name}/{shard}" in ledger
        parents = {s["id"]: s["parent"] for s in ferry.fake.control.shards(table.name)}
        return Source([c for c in truth.changes if listed(c.shard)], table.key_schema, parents)

    return source


@pytest.mark.parametrize("seed, answer", [(201, "children"), (202, "ignored"), (203, "refused")])
def test_shards_listed_late_at_random_over_several_pages(ferry, seed, answer):
    """Open and closed ones, of a tree of which a third is hidden at the adoption."""
    rng, control = random.Random(seed), ferry.fake.control
    control.set(shards=50, shard_filter=answer)
    table = ferry.add_table()
    writer = ferry.writer(table, seed=seed, keys=150, rate=150)
    writer.fill()
    for _ in range(60):
        writer.step()
        opened = [s["id"] for s in control.shards(table.name) if s["open"]]
        control.split(table.name, rng.choice(opened), rng.choice((1, 2)))
    shards = control.shards(table.name)
    assert len(shards) > 120
    hidden = [s["id"] for s in rng.sample(shards, len(shards) // 3)]
    control.hide(table.name, hidden)
    ferry.source = needed(ferry, {s["id"] for s in shards if not s["open"]})
    ferry.producer()
    wait_until(lambda: ferry.phase(table), 60, "the adoption", ferry.running())
    writer.start()
    rng.shuffle(hidden)
    while hidden:
        write_on(ferry, writer, 10)
        control.show(table.name, hidden[:15])
        del hidden[:15]
        opened = [s["id"] for s in control.shards(table.name) if s["open"] and s["listed"]]
        control.split(table.name, rng.choice(opened), 2)
    write_on(ferry, writer)
    settle_log(ferry, 120)


# --- empty answers ---


def age(ferry, table, hours):
    """The ledger as if everything of this table's shards had happened so much earlier."""
    for key, record in ferry.ledger()[0].items():
        if key.startswith(f"shard/{table.name}/"):
            for name in ("updated_ms", "source_ms", "complete_to_ms"):
                record[name] = max(0, record[name] - int(hours * HOUR_S * 1000))
            write_ledger(ferry, key, record)


def away(ferry, hours, read=1):
    """(table, its shard): carried, and then nobody came for so long. `read` changes were read before."""
    table = ferry.add_table()
    producer = carried(ferry, table)
    for number in range(1, read):
        put(ferry, table, 1, f"read {number}")
    ferry.wait_caught_up()
    producer.sigterm()
    age(ferry, table, hours)
    return table, shard_of_newest(ferry, table)


def written_meanwhile(ferry, table, hours):
    """Changes that were written so many hours ago and that nobody has read."""
    ferry.fake.control.set(record_age_s=hours * HOUR_S)
    for number in range(UNREAD):
        put(ferry, table, 1, f"unread {number}")
    ferry.fake.control.set(record_age_s=0)


def wait_empty(ferry, shard, seconds=EMPTY_FOR_S):
    """The producer asked the shard again and again for so long."""
    since = ferry.fake.control.requests()

    def spanned():
        entries = asked(ferry, "GetRecords", since, ShardId=shard)
        return len(entries) > 4 and entries[-1]["start"] - entries[0]["start"] > seconds

    wait_until(spanned, 90, f"requests over {seconds} s", ferry.running())


@pytest.mark.parametrize("how", ["a fresh iterator", "a trim", "records that are dropped"])
def test_empty_answers_with_records_behind_them_prove_nothing(ferry, how):
    """The ledger must not say that the shard is complete beyond what nobody has read."""
    control, dropped = ferry.fake.control, how == "records that are dropped"
    table, shard = away(ferry, 22, read=150 if dropped else 1)
    if how == "a trim":  # of what was read, so that reading starts at the horizon
        control.trim(table.name, shard)
    written_meanwhile(ferry, table, 20)
    if dropped:  # the service says so, but gives what was read once more
        where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
        control.fault("trimmed", op="GetShardIterator", where=where, predicate=from_producer)
        control.set(max_records=1)
    else:
        control.fault("empty", op="GetRecords", where={"ShardId": shard}, times=-1, predicate=from_producer)
    producer = ferry.producer()
    wait_empty(ferry, shard)
    producer.sigterm()
    told = shard_record(ferry, table, shard)["complete_to_ms"]
    assert told <= (time.time() - 19 * HOUR_S) * 1000, "complete beyond what was not read"
    control.clear()
    control.set(max_records=1000)
    ferry.producer()
    settle_log(ferry)


def test_changes_trimmed_behind_empty_answers_are_a_gap(ferry):
    """The way from a wrong proof to changes that are missing in silence: two hours later they are trimmed."""
    control = ferry.fake.control
    table, shard = away(ferry, 22)
    written_meanwhile(ferry, table, 22)
    control.fault("empty", op="GetRecords", where={"ShardId": shard}, times=-1, predicate=from_producer)
    producer = ferry.producer()
    wait_empty(ferry, shard)
    producer.sigterm()
    control.clear()
    control.trim(table.name, shard)
    age(ferry, table, 2.5)
    ferry.producer({"on_gap": "fail"})
    wait_phase(ferry, table, "gap")


def test_a_shard_that_is_idle_is_known_to_be_complete_to_the_services_now(ferry, clock):
    """Once a record near the service's now was read: its time moves on, and a pause of a day after an idle day
    is no gap."""
    table, shard = away(ferry, 20)
    ferry.producer()
    put(ferry, table, 2)
    ferry.wait_caught_up()
    for minutes in range(4, 17, 4):  # a signature may be five minutes off
        wait_empty(ferry, shard, 1)
        clock(60 * minutes)
    goal = (time.time() + 600) * 1000
    moved = lambda: shard_record(ferry, table, shard)["complete_to_ms"] > goal
    wait_until(moved, 60, "the shard to be complete", ferry.running())


# --- clocks ---


def told_of_the_clock(producer):
    return [line for line in producer.log().splitlines() if re.search(r"level=warn .*clock", line)]


def write_by_the_services_clock(ferry, table, name, count=UNREAD):
    """By a client whose clock is the service's."""
    for number in range(count):
        item = {"pk": {"S": f"{name} {number}"}, "v": {"N": "1"}}
        ferry.fake.backend.call("PutItem", {"TableName": table.name, "Item": item})


def test_what_was_trimmed_unread_while_our_clock_is_behind_is_a_gap(ferry, clock):
    """30 hours pass at the service; what was written in the first of them is trimmed."""
    table = ferry.add_table()
    carried(ferry, table).sigterm()
    write_by_the_services_clock(ferry, table, "lost")
    clock(30 * HOUR_S)
    write_by_the_services_clock(ferry, table, "next")
    producer = ferry.producer({"on_gap": "fail"})
    keys = lambda: [r.keys["pk"]["S"] for r in ferry.log(table) if r.keys]
    over = lambda: ferry.phase(table) == "gap" or "next 0" in keys()
    wait_until(over, 60, "a gap, or the next change", [producer])
    assert ferry.phase(table) == "gap", f"{UNREAD} changes are missing: {keys()}"
    assert len(told_of_the_clock(producer)) == 1


def test_our_clock_being_ahead_makes_no_gap(ferry, clock):
    """Both were right 30 hours ago by our clock; for the service a moment has passed."""
    table = ferry.add_table()
    carried(ferry, table).sigterm()
    age(ferry, table, 30)
    clock(-30 * HOUR_S)
    write_by_the_services_clock(ferry, table, "next")
    producer = ferry.producer()
    over = lambda: ferry.phase(table) == "gap" or ferry.caught_up(table, ferry.source(table))
    wait_until(over, 60, "a gap, or the changes", [producer])
    assert ferry.phase(table) == "tail"
    assert len(told_of_the_clock(producer)) == 1
    producer.sigterm()
    clock(0)
    settle_log(ferry)


@pytest.mark.parametrize("hours", [30, -30])
def test_the_time_until_the_trim_is_by_the_services_clock(ferry, clock, hours):
    """Also when nothing is ever refused for the clock."""
    table = ferry.add_table()
    ferry.fake.control.set(check_signature=False)
    clock(hours * HOUR_S)
    producer = carried(ferry, table)
    put(ferry, table, 2)
    ferry.wait_caught_up()
    left = lambda: producer.metric("dynaferry_producer_trim_seconds", table=table.name)
    near_a_day = lambda: 23 * HOUR_S < left() < 24 * HOUR_S + 60
    wait_until(near_a_day, 20, "a day until the trim", [producer])

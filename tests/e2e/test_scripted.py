"""The producer against a scripted endpoint that does what DynamoDB Local never does: splits, rolls, expired
iterators, late children, vanished parents, early moments, aborts in the middle of a batch, gaps.

Whatever happens, every record of the stream stands in the log once and in order.
"""

import threading

import pytest
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until
from support.scripted_source import begin, ferry, from_producer, settle_log, wait_commit, wait_phase, write_on

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


class Abort:
    """Two shards and one transaction: an answer for the second shard comes after all of the first one was
    appended, and is cut.

    Both shards' answers are held until everything is written and a commit has just been made (which a change
    of another table brings about): from then on the scene has five seconds."""

    def __init__(self, ferry, seed):
        self.ferry, self.control = ferry, ferry.fake.control
        self.other = ferry.add_table()
        self.control.set(shards=2)
        settings = {"commit.interval.ms": 5000, "ledger.partitions": 1}
        self.table, self.writer, self.producer = begin(ferry, seed, **settings)
        for table in (self.table, self.other):
            wait_phase(ferry, table, "tail")
        ferry.wait_caught_up()
        self.quiet, self.cut = [s["id"] for s in self.control.shards(self.table.name)]
        self.first, self.second = self.hold(self.quiet), self.hold(self.cut)
        where = {"ShardId": self.cut}
        self.control.fault("cut_json", op="GetRecords", where=where, keep=0.9, predicate=from_producer)
        assert self.control.wait_held(self.first) and self.control.wait_held(self.second)

    def hold(self, shard_id):
        where = {"ShardId": shard_id}
        return self.control.fault("hold", op="GetRecords", where=where, predicate=from_producer)

    def read_to_end(self, shard_id):
        """A commit; then the first shard is read; returns when the producer has asked for what comes after the
        newest record of this one."""
        wait_commit(self.ferry, self.producer, self.other)
        shards = self.control.shards(self.table.name)
        after = next(s["newest"] for s in shards if s["id"] == shard_id)
        asked = lambda: self.ferry.fake.script.entries("GetRecords", ShardId=shard_id, After=after)
        self.control.release(self.first)
        assert self.ferry.fake.script.wait(asked, 60), f"{shard_id} is not read"

    def release(self):
        """Half of the cut answer is appended, which is the transaction's end."""
        self.control.release(self.second)
        wait_until(lambda: "transaction aborted" in self.producer.log(), 30, "the abort", self.ferry.running())


def test_an_abort_takes_every_shard_back_to_the_last_commit(ferry):
    """Also one whose reader has nothing in flight: its iterator is beyond what was lost."""
    abort = Abort(ferry, seed=53)
    put_all(abort.writer)
    abort.read_to_end(abort.quiet)
    abort.release()
    settle_log(ferry)
    log = ferry.log(abort.table, "read_uncommitted")
    places = [r.place for r in log if r.is_change and r.place[0] == abort.quiet]
    assert len(set(places)) < len(places), "it was committed before the abort"


def test_an_abort_that_takes_a_parent_back_holds_its_child(ferry):
    """The parent's end is lost together with its child's records: first the parent again."""
    abort = Abort(ferry, seed=54)
    put_all(abort.writer)
    (child,) = abort.control.split(abort.table.name, abort.quiet, children=1)
    put_all(abort.writer)
    abort.read_to_end(child)
    parent = abort.hold(abort.quiet)
    abort.release()
    assert abort.control.wait_held(parent)
    seen = abort.control.requests()
    assert abort.control.wait_requests("GetRecords", 5, since=seen, ShardId=abort.cut)
    abort.control.release(parent)
    settle_log(ferry)


# --- the barrier ---


def test_changes_wait_for_a_page_that_was_read_at_an_early_moment(ferry):
    """The page is read, then held; what is written meanwhile must come after it in the log."""
    table = ferry.add_table()
    page = ferry.fake.control.fault("hold", op="Scan", when="after", predicate=from_producer)
    _, writer, _ = begin(ferry, seed=45, table=table, **{"full.read.concurrency": 1})
    assert ferry.fake.control.wait_held(page)
    older = set(ferry.source(table).by_place)  # may have been received before the page was asked for
    writer.start()
    write_on(ferry, writer, 100)
    # one batch of changes is received and waits in memory; the shard is not asked for more meanwhile
    assert ferry.fake.control.wait_requests("GetRecords", 1), "changes are not read beside a page"
    log = ferry.log(table, "read_uncommitted")
    early = [r for r in log if not r.bad and r.is_change and r.place not in older]
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
def test_a_gap_that_is_to_halt_its_table_halts_it_and_no_other(ferry, how):
    table, other = ferry.add_table(), ferry.add_table()
    for t in (table, other):
        ferry.writer(t, seed=47, keys=30, rate=100).fill()
    ferry.producer({"on_gap": "fail"})
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


# --- answers that never come ---


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

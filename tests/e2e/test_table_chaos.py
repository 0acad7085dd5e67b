"""Random kills of the producer beside aborts, rolls, splits and late listings: each table's log is right.

A round is told by its seed (what happens; not when). DYNAFERRY_TABLE_ROUNDS sets how many there are (2 by
default, 60 in the campaign). Listings lack shards for a while, parents, children or both, over several pages;
none is late for longer than a doubt lasts. Tables share a ledger partition, so that the abort of one takes back
what the others appended. One thing is kept from happening: before its adoption a lineage rolls once, since two
rolls that one listing half misses are a gap, and are told as one.
"""

import collections
import os
import random
import time

import pytest
from support import workload
from support.bridge import complain
from support.running import wait_until
from support.scripted_source import ferry, from_producer  # noqa: F401 (ferry is a fixture)

ROUNDS = int(os.environ.get("DYNAFERRY_TABLE_ROUNDS", "2"))
DOUBT_MS = 8000
LATE_S = 1.2  # the longest that a shard is not listed
EVENTS = 10
SETTLED_S = 120


class Round:
    """One seed's tables and producer, and what befalls them."""

    def __init__(self, ferry, seed):
        self.ferry, self.control, self.rng = ferry, ferry.fake.control, random.Random(seed)
        self.began = time.monotonic()
        self.met = collections.Counter()
        ferry.fake.backend.random.seed(seed)
        self.listing = {
            "shards": self.rng.randint(1, 3),
            "page_shards": self.rng.choice((1, 2, 3, 100)),
            "shard_filter": self.rng.choice(("children", "children", "ignored", "refused")),
            "hide_chance": self.rng.choice((0, 0.3, 0.6)),
            "hide_s": [0.1, LATE_S],
            "late_listing_s": self.rng.choice((0, 0.2, [0, LATE_S])),
        }
        self.control.set(**self.listing)
        ferry.settings.update(
            {
                "source.doubt.ms": DOUBT_MS,
                "ledger.partitions": self.rng.randint(1, 2),
                "topic.partitions": self.rng.randint(1, 3),
                "commit.interval.ms": self.rng.choice((0, 100, 1000)),
                "full.read.concurrency": self.rng.randint(1, 3),
                "qps.full.batch_num": self.rng.choice((5, 20, 100)),
            }
        )
        kinds = workload.all_tables("")
        for number in range(self.rng.randint(2, 4)):
            table = ferry.add_table(self.rng.choice(kinds).key_schema)
            writer = ferry.writer(table, f"{seed}/{number}", keys=self.rng.randint(5, 60), rate=40, refused=0)
            writer.fill()
        self.tell(f"seed {seed}: {len(ferry.tables)} tables, {self.listing}")

    def tell(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def a_table(self):
        return self.rng.choice(self.ferry.tables).name

    # --- what befalls them ---

    def kill(self):
        self.producer.kill9()
        self.start()

    def end(self):
        # Before it has begun nobody listens to the signal.
        wait_until(lambda: "event=started" in self.producer.log(), 30, "its begin", [self.producer])
        self.producer.sigterm(30)
        self.start()

    def start(self):
        self.producer = self.ferry.producer({"on_gap": "fail"})

    def roll(self):
        self.control.roll(self.a_table())

    def roll_twice(self):
        table = self.a_table()
        self.control.roll(table)
        self.control.roll(table)

    def split(self):
        self.control.split(self.a_table())

    def cut(self):
        """What was appended of the answer, and of the whole transaction, is taken back."""
        where = {"TableName": self.a_table()}
        self.control.fault(
            "cut_json", op="GetRecords", where=where, keep=0.9, times=self.rng.randint(1, 3), predicate=from_producer
        )

    def hide(self):
        self.control.hide_some(self.a_table(), 0.5, [0.1, LATE_S])

    def split_late_and_kill(self):
        """The children's first records may or may not be in the ledger."""
        table = self.a_table()
        children = self.control.split(table)
        self.control.hide(table, [self.rng.choice(children)], seconds=LATE_S)
        self.pause()
        self.cut()
        self.kill()

    def pause(self):
        time.sleep(self.rng.uniform(0, 1))  # the random moment is the point of the campaign

    # --- a round ---

    def run(self):
        for table in self.ferry.tables:
            if self.rng.random() < 0.6:
                self.control.roll(table.name)
        for writer in self.ferry.writers:
            writer.start()
        self.start()
        if self.rng.random() < 0.5:
            self.pause()
            self.kill()
        known = lambda: all(self.ferry.phase(table) for table in self.ferry.tables)
        wait_until(known, 60, "the adoption of all", self.ferry.running())
        events = (self.kill, self.end, self.roll, self.roll_twice, self.split, self.cut, self.cut, self.hide)
        for _ in range(EVENTS):
            event = self.rng.choice((*events, self.split_late_and_kill))
            self.met[event.__name__] += 1
            self.tell(event.__name__)
            event()
            self.pause()

    def check(self):
        self.ferry.stop_writers()
        self.control.clear()
        self.control.set(hide_chance=0, late_listing_s=0)
        self.ferry.wait_caught_up(SETTLED_S)
        self.tell(f"settled: {dict(self.met)}, {self.producer.log().count('transaction aborted')} aborts in the last life")
        complain([p for table in self.ferry.tables for p in self.ferry.verify_log(table)])
        for table in self.ferry.tables:
            assert self.ferry.phase(table) == "tail"
            assert len({r.generation for r in self.ferry.log(table)}) == 1, f"{table.name}: begun anew"


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_befalls_a_table_its_log_is_right(ferry, seed):
    one = Round(ferry, seed)
    one.run()
    one.check()

"""One round: the schedule of a seed, carried out beside writers, then everything settles and is judged."""

import collections
import heapq
import itertools
import random
import time

from .events import KINDS

EVENTS = 14
CHAOS_S = 20


class Round:
    def __init__(self, chain, seed, seconds=CHAOS_S):
        self.chain, self.seed = chain, seed
        self.met = collections.Counter()
        rng = random.Random(f"round {seed}")
        chain.fake.backend.random.seed(f"fake {seed}")
        chain.fake.script.random.seed(f"source {seed}")
        chain.mongo.script.random.seed(f"target {seed}")
        self.order = itertools.count()
        kinds = rng.choices(KINDS, [kind.weight for kind in KINDS], k=EVENTS)
        times = sorted(rng.uniform(0, seconds) for _ in kinds)
        self.due = [(at, next(self.order), "begin", kind(rng, chain)) for at, kind in zip(times, kinds)]
        heapq.heapify(self.due)

    def run(self):
        self.chain.tell(f"round {self.seed}: {[str(entry[3]) for entry in sorted(self.due)[:EVENTS]]}")
        self.chain.let_pass(7)  # gaps of the round before are no row with those of this one
        self.chain.write_from(self.seed)
        began = time.monotonic()
        while self.due:
            at, _, what, event = heapq.heappop(self.due)
            time.sleep(max(0.0, began + at - time.monotonic()))  # the moment is the schedule's, not an assertion
            self.do(at, what, event)
        self.clear()
        self.chain.tell(f"no more faults; met {dict(self.met)}")
        self.chain.settle()
        self.chain.tell("settled")
        self.chain.judge()
        self.chain.tell(f"judged; {self.chain.growth.report()}")

    def do(self, at, what, event):
        dead = self.chain.dead_programs()
        assert not dead, "\n".join(dead)
        self.chain.tell(f"{what} {event}")
        if what == "end":
            event.end()
        elif event.begin():
            self.met[type(event).__name__] += 1
            self.chain.lost(event)
            heapq.heappush(self.due, (at + event.seconds, next(self.order), "end", event))

    def clear(self):
        for script in (self.chain.fake.script, self.chain.mongo.script):
            hits = collections.Counter()
            for fault in script.faults:
                hits[fault.kind] += fault.hits
            self.chain.tell(f"requests that met a fault: {dict(hits)}")
            script.clear()

"""Random faults of positions and writes beside kills, hangs and rebalances: MongoDB ends as the source.

A run is told by its seed (what happens; not when). DYNAFERRY_POSITION_RUNS sets how many there are (2 by
default, 60 in the campaign). Two things are kept from happening, since docs/positions.md leaves them out: a
write that the server executes after the grace, and the kill of a consumer that has stood still for longer
than its session.
"""

import collections
import os
import random
import time

import pytest
from support import workload
from support.bridge import APPLIED, complain
from support.positions import IDLE_LOOK_S, SESSION_S, Scene, statement_that
from support.running import stays, wait_until

RUNS = int(os.environ.get("DYNAFERRY_POSITION_RUNS", "2"))
TIMEOUT_MS = 2000  # of the server and of the socket: a grace of twice that
LATE_S = 2.4  # after the client has given up, and well within the grace
CONFLICT = {"ok": 0.0, "code": 112, "codeName": "WriteConflict", "errmsg": "."}
ROUNDS = 5

# kind, its parameters, and how often a command meets it
REFUSED = [("not_primary", {}, 0.03), ("reply", {"document": CONFLICT}, 0.03)]
LOST = [("cut", {"when": "before"}, 0.02), ("cut", {"when": "reply"}, 0.03)]
SLOW = [("delay", {"seconds": 0.3}, 0.05), ("delay", {"seconds": LATE_S}, 0.02)]
ANSWERS = [("write_concern", {}, 0.08), ("delay", {"seconds": LATE_S, "when": "reply"}, 0.02)]
READS = REFUSED + LOST + SLOW
WRITES = READS + ANSWERS
COMMANDS = {"update": WRITES, "delete": WRITES, "findAndModify": WRITES, "find": READS}


class Run:
    """One seed's tables and consumers, and what befalls them."""

    def __init__(self, scene, seed):
        self.scene, self.bridge, self.rng = scene, scene.bridge, random.Random(seed)
        self.began = time.monotonic()
        scene.proxy.script.random.seed(seed)
        self.settings = {
            "convert.type": self.rng.choice(("raw", "change")),
            "target.id": self.rng.choice(("objectid", "key")),
            "target.max_time_ms": TIMEOUT_MS,
            "target.socket.timeout.ms": TIMEOUT_MS,
            "target.batch.ms": self.rng.choice((0, 20, 200)),
            "topic.partitions": self.rng.randint(1, 4),
            "ledger.partitions": 1,
        }
        self.bridge.settings.update(self.settings)
        kinds = workload.all_tables("")
        for number in range(self.rng.randint(1, 2)):
            table = self.bridge.add_table(self.rng.choice(kinds).key_schema)
            self.bridge.writer(table, f"{seed}/{number}", keys=self.rng.randint(5, 60), rate=40).fill()
        self.tell(f"seed {seed}: {len(self.bridge.tables)} tables, {self.settings}")
        self.consumers, self.spared = [], []
        self.whole = list(self.bridge.tables)

    def tell(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def pause(self, seconds):
        """For the random moments that are the point of the campaign."""
        time.sleep(seconds)

    # --- who is there ---

    def start(self):
        self.consumers.append(self.scene.consumer())
        self.tell(f"{self.consumers[-1].name} starts")

    def kill(self):
        """Nobody takes its place at once: while the group waits for the dead one, the others are at work."""
        if alive := [c for c in self.consumers if c not in self.spared]:
            consumer = self.rng.choice(alive)
            consumer.kill9()
            self.consumers.remove(consumer)
            self.tell(f"{consumer.name} is killed")

    def end(self):
        consumer = self.rng.choice(self.consumers)
        self.tell(f"{consumer.name} shall end")
        consumer.sigterm(40)
        self.consumers.remove(consumer)
        self.start()

    def join(self):
        if len(self.consumers) < 3:
            self.start()

    def leave_the_group(self):
        """Its session ends, and it knows nothing of that."""
        consumer = self.rng.choice(self.consumers)
        self.spared.append(consumer)
        self.hang_for(consumer, SESSION_S + 2)

    # --- what befalls them ---

    def hang(self):
        self.hang_for(self.rng.choice(self.consumers), self.rng.choice((0.3, 1, 2.5)))

    def hang_for(self, consumer, seconds):
        consumer.hang()
        self.tell(f"{consumer.name} hangs for {seconds} s")
        self.pause(seconds)
        consumer.go_on()

    def refuse(self):
        self.scene.proxy.control.refuse()
        self.tell("MongoDB is away")
        self.pause(self.rng.uniform(0.2, 1.5))
        self.scene.proxy.control.accept()
        self.tell("MongoDB is back")

    def rewind(self):
        """As anybody may who wants values applied again."""
        if positions := self.scene.positions():
            place, position = self.rng.choice(sorted(positions.items(), key=lambda item: item[0]))
            to = max(position.get("offset", 0) - self.rng.randint(1, 15), 0)
            self.mark([place], to)
            self.tell(f"{place} shall be applied from {to}")

    def damage(self):
        """A table's documents are gone, as by the latest of late writers, and all of it is marked. Once a
        table, since it also mends what went wrong before."""
        if not self.whole:
            return
        table = self.whole.pop()
        self.bridge.target()[table.name].delete_many({})
        self.mark([p for p in self.scene.positions() if p.startswith(self.bridge.topic(table) + "/")], 0)
        self.tell(f"{table.name} is emptied, and shall be applied from 0")

    def first_damage(self):
        if len(self.whole) > 1:
            self.damage()

    def mark(self, places, offset):
        self.bridge.target()[APPLIED].update_many({"_id": {"$in": places}}, {"$min": {"rewind": offset}})

    def begin_faults(self):
        """Each command about positions, or about documents, may meet one of its own; the rarer ones, which
        set a position back, often do."""
        for kind, more in (("write_concern", {}), ("cut", {"when": "reply"})):
            self.scene.fault_on_positions(kind, statement_that("back"), times=-1, chance=0.3, **more)
        for collection in [APPLIED, *(table.name for table in self.bridge.tables)]:
            for op, faults in COMMANDS.items():
                for kind, more, chance in faults:
                    where = {"collection": collection}
                    self.scene.proxy.control.fault(kind, op=op, where=where, times=-1, chance=chance, **more)

    def chaos(self):
        """Partitions must be at work to meet anything, so the group is left alone for a while each time."""
        acts = [self.hang, self.refuse, self.first_damage] + [self.rewind] * 3
        members = [self.kill] * 3 + [self.end, self.join] * 2 + [self.leave_the_group]
        last_is_damage = self.rng.random() < 0.5  # nothing mends what is forgotten of that
        self.begin_faults()
        for number in range(ROUNDS):
            for _ in range(self.rng.randint(3, 6)):
                self.pause(self.rng.uniform(0.3, 1))
                self.rng.choice(acts)()
            if number == ROUNDS - 1 and last_is_damage:
                self.damage()
                self.pause(IDLE_LOOK_S)
            (self.rng.choice(members) if len(self.consumers) > 1 else self.start)()
        met = collections.Counter()
        for fault in self.scene.proxy.script.faults:
            met[fault.kind] += fault.hits
        self.scene.proxy.control.clear()
        self.tell(f"no more faults; met: {dict(met)}")

    # --- the end ---

    def check(self):
        """All is as the source, and a late writer changes nothing of that."""
        convert_type, target_id = self.settings["convert.type"], self.settings["target.id"]
        self.bridge.settle(120)
        self.tell("all is applied")
        self.bridge.verify(convert_type, target_id)
        alive = lambda: all(consumer.running for consumer in self.consumers)
        stays(alive, 2 * TIMEOUT_MS / 1000 + IDLE_LOOK_S + 1)
        self.bridge.wait_applied()
        for table in self.bridge.tables:
            complain(self.bridge.verify_target(table, convert_type, target_id))
        for consumer in self.consumers:
            wait_until(lambda: consumer.get("/healthz")[0] == 200, 30, "health", [consumer])
            consumer.sigterm(40)
        self.tell("it is over")


@pytest.fixture
def scene(bridge, parts):
    from fakes.mongo_proxy import MongoProxy

    with MongoProxy("%s:%d" % parts.mongo.address) as proxy:
        yield Scene(bridge, proxy)
        proxy.control.clear()


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(RUNS))
def test_random_faults_leave_every_document_right(scene, seed):
    run = Run(scene, seed)
    scene.produce()
    for _ in range(2):
        run.start()
    wait_until(lambda: scene.positions(), 60, "the first position", run.consumers)
    for writer in scene.bridge.writers:
        writer.start()
    run.chaos()
    run.check()

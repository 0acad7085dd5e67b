"""What may befall a campaign: each kind is a class, drawn from the round's seed before the round begins.

`begin` does it and says whether it could; `end`, `seconds` later, undoes what lasts. All of an event's choices are
made when it is drawn. `weight` says how often a kind is drawn. Two things are kept from happening, since
docs/positions.md leaves them out: a write that the server executes after the grace, and the kill of a consumer
that stood still for longer than its session.
"""

import signal

from support.bridge import APPLIED
from support.positions import SESSION_S
from support.scripted_source import from_producer

KINDS = []
LATE_S = 2.0  # after the client has given up, and within the grace
UNKNOWN_CODE = 7654321  # of no server that is known
CONFLICT = {"ok": 0.0, "code": 112, "codeName": "WriteConflict", "errmsg": "."}
INTERRUPTED = {"ok": 0.0, "code": 11601, "codeName": "Interrupted", "errmsg": "."}
SHUTTING_DOWN = {"ok": 0.0, "code": 91, "codeName": "ShutdownInProgress", "errmsg": "."}


class Event:
    weight = 2
    lasts = (0, 0)

    def __init_subclass__(cls, kind=True):
        if kind:
            KINDS.append(cls)

    def __init__(self, rng, chain):
        self.chain = chain
        self.seconds = rng.uniform(*self.lasts)
        self.slot = rng.choice(chain.slots)
        self.table = rng.choice(chain.tables)
        self.draw(rng)

    def draw(self, rng):
        """More choices."""

    def begin(self):
        raise NotImplementedError

    def end(self):
        """Undoes what lasts."""

    def __str__(self):
        return f"{type(self).__name__} {self.seconds:.1f} s {self.about()}"

    def about(self):
        return self.table.name


class OfProgram(Event, kind=False):
    def about(self):
        return self.slot.name


# --- programs ---


class Kill(OfProgram):
    weight, lasts = 6, (0, 2)

    def begin(self):
        if not self.slot.at_work or self.slot.silent:
            return False
        self.slot.busy = True
        self.slot.program.kill9()
        return True

    def end(self):
        self.slot.start()


class Stop(OfProgram):
    """Ended as an operator ends it."""

    weight, lasts = 3, (2, 4)

    def begin(self):
        # Before it has begun nobody listens to the signal.
        if not self.slot.at_work or "event=started" not in self.slot.program.log():
            return False
        self.slot.busy = True
        self.slot.program.signal(signal.SIGTERM)
        return True

    def end(self):
        code = self.slot.program.wait(40)
        assert code == 0, f"exit {code} after SIGTERM\n{self.slot.program.story()}"
        self.slot.start()


class Hang(OfProgram):
    weight, lasts = 3, (0.5, 4)

    def begin(self):
        if not self.slot.at_work:
            return False
        self.slot.busy = True
        self.slot.program.hang()
        return True

    def end(self):
        self.slot.busy = False
        self.slot.program.go_on()


class HangPastSession(Hang):
    weight, lasts = 2, (SESSION_S + 2, SESSION_S + 4)

    def begin(self):
        self.slot.silent = super().begin() or self.slot.silent
        return self.slot.busy


# --- Kafka ---


class CutFromKafka(OfProgram):
    """Its connections are cut, and for a while it gets no others."""

    weight, lasts = 3, (0, 14)

    def begin(self):
        self.slot.kafka.away = True
        self.slot.kafka.cut_all()
        return True

    def end(self):
        self.slot.kafka.away = False


class RestartKafka(Event):
    weight = 1

    def draw(self, rng):
        self.how = rng.choice(("stop", "kill"))

    def begin(self):
        self.chain.parts.script(self.how, "kafka")
        self.chain.parts.script("start", "kafka")
        return True

    def about(self):
        return self.how


# --- MongoDB ---


class RestartMongo(Event):
    weight = 2

    def begin(self):
        self.chain.parts.script("kill", "mongodb")
        self.chain.parts.script("start", "mongodb")
        return True

    def about(self):
        return ""


class MongoAway(Event):
    lasts = (0.2, 6)

    def begin(self):
        self.chain.mongo.control.refuse()
        return True

    def end(self):
        self.chain.mongo.control.accept()

    def about(self):
        return ""


class OfMongo(Event, kind=False):
    """Commands about a table's documents, or about positions, meet a fault for a while, each by chance."""

    lasts = (2, 6)
    fault, more = None, {}
    ops = ("update", "delete")
    chance = 0.3

    def draw(self, rng):
        self.collection = rng.choice((APPLIED, self.table.name))

    def begin(self):
        add = self.chain.mongo.control.fault
        self.faults = [
            add(self.fault, op=op, where={"collection": self.collection}, times=-1, chance=self.chance, **self.more)
            for op in self.ops
        ]
        return True

    def end(self):
        for number in self.faults:
            fault = self.chain.mongo.script.find(number)
            fault.times = 0
            fault.released.set()

    def about(self):
        return self.collection


class MongoCutBefore(OfMongo):
    fault, more = "cut", {"when": "before"}
    ops = ("update", "delete", "find", "findAndModify")


class MongoCutReply(OfMongo):
    """Executed, and the answer is lost."""

    fault, more = "cut", {"when": "reply"}
    ops = ("update", "delete", "findAndModify")


class MongoSlow(OfMongo):
    fault, more, chance = "delay", {"seconds": 0.3}, 0.6
    ops = ("update", "delete", "find", "findAndModify")


class MongoLate(OfMongo):
    """Executed after the client has given up."""

    fault, more, chance = "delay", {"seconds": LATE_S}, 0.15


class MongoHeld(OfMongo):
    """Held until the event ends, or the grace is nearly over."""

    fault, more, chance = "delay", {"seconds": LATE_S, "when": "reply"}, 0.15


class MongoNotMajority(OfMongo):
    fault = "write_concern"


class MongoNotPrimary(OfMongo):
    fault = "not_primary"
    ops = ("update", "delete", "find", "findAndModify")


class MongoConflict(OfMongo):
    fault, more = "reply", {"document": CONFLICT}
    ops = ("update", "delete", "findAndModify")


class MongoInterrupted(OfMongo):
    """Says that it was interrupted, and it was executed."""

    fault, more = "amend", {"document": INTERRUPTED}


class MongoShuttingDown(OfMongo):
    fault, more = "amend", {"document": SHUTTING_DOWN}


class MongoDuplicate(OfMongo):
    """A racing upsert."""

    fault, more = "duplicate", {"indexes": [0]}
    ops = ("update",)

    def draw(self, rng):
        self.collection = self.table.name


class MongoUnknownCode(OfMongo):
    """Of a whole command."""

    fault, more = "reply", {"document": {"ok": 0.0, "code": UNKNOWN_CODE, "errmsg": "."}}
    lasts = (1, 4)


# --- DynamoDB ---


class OfSource(Event, kind=False):
    """Requests of producers meet a fault for a while, each by chance."""

    lasts = (1, 6)
    kinds = ()
    ops = ("Scan", "GetRecords", "GetShardIterator", "DescribeStream", "DescribeTable")
    chance = 0.5

    def draw(self, rng):
        self.fault = rng.choice(self.kinds)
        self.met = rng.sample(self.ops, rng.randint(1, len(self.ops)))

    def more(self):
        return {}

    def begin(self):
        add = self.chain.fake.control.fault
        self.faults = [
            add(self.fault, op=op, times=-1, chance=self.chance, predicate=from_producer, **self.more())
            for op in self.met
        ]
        return True

    def end(self):
        for number in self.faults:
            fault = self.chain.fake.script.find(number)
            fault.times = 0
            fault.released.set()

    def about(self):
        return f"{self.fault} {' '.join(self.met)}"


class Throttled(OfSource):
    weight = 3
    kinds = ("throttle", "throttling", "request_limit", "limit")


class SourceTrouble(OfSource):
    weight = 3
    kinds = ("500", "503", "cut", "wrong_crc", "cut_json", "drip", "empty", "close")


class Denied(OfSource):
    kinds, chance = ("access_denied",), 1


class IteratorsExpire(Event):
    def begin(self):
        self.chain.fake.control.expire_iterators()
        return True


class SourceAway(Event):
    """Its address refuses connections."""

    lasts = (0.5, 6)

    def begin(self):
        self.chain.gate.refuse()
        return True

    def end(self):
        self.chain.gate.accept()


class SourceSilent(Event):
    """Connections are taken, and nothing comes back."""

    lasts = (0.5, 8)

    def begin(self):
        self.chain.gate.close()
        return True

    def end(self):
        self.chain.gate.open.set()


class Roll(Event):
    weight = 4

    def begin(self):
        self.chain.fake.control.roll(self.table.name)
        return True


class Split(Event):
    weight = 3

    def begin(self):
        if len(self.chain.model(self.table).stream.open_shards()) > 5:
            return False
        self.chain.fake.control.split(self.table.name)
        return True


class LateListing(Event):
    """Some shards, parents or children, are not listed for a while."""

    weight = 3

    def draw(self, rng):
        self.late_s, self.roll = rng.uniform(0.1, 1.2), rng.random() < 0.5

    def begin(self):
        if self.roll:
            self.chain.fake.control.roll(self.table.name)
        self.chain.fake.control.hide_some(self.table.name, 0.5, self.late_s)
        return True


class ClockJumps(Event):
    """The service's clock goes on by up to some hours at once: positions stay younger than 23 h."""

    weight = 1

    def draw(self, rng):
        self.hours = rng.choice((0.1, 1, 5))

    def begin(self):
        if self.chain.clock_s + self.hours * 3600 > 18 * 3600:
            return False
        self.chain.clock_s += self.hours * 3600
        self.chain.fake.control.set(clock_offset_s=self.chain.clock_s)
        return True

    def about(self):
        return f"{self.hours} h"

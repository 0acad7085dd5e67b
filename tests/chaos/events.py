"""What may befall a campaign: each kind is a class, drawn from the round's seed before the round begins.

`begin` does it and says whether it could; `end`, `seconds` later, undoes what lasts. All of an event's choices are
made when it is drawn. `weight` says how often a kind is drawn. Two things are kept from happening, since
docs/positions.md leaves them out: a write that the server executes after the grace, and the kill of a consumer
that stood still for longer than its session.
"""

import re
import signal

from support import topic_check
from support.bridge import APPLIED
from support.positions import SESSION_S
from support.repair_requests import ask_repair, signal_topic
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
    loses = ""  # changes or the topic, of "this" table or of "all": then a new generation is right

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


class DropCollection(Event):
    """By somebody's hand, under the consumers."""

    def begin(self):
        self.chain.bridge.target().drop_collection(self.table.name)
        return True


class DropDatabase(Event):
    weight = 1

    def begin(self):
        self.chain.parts.mongo.drop_database(self.chain.bridge.database)
        return True

    def about(self):
        return ""


class RemovePositions(Event):
    """Of one partition, or all of a table."""

    def draw(self, rng):
        self.partition = rng.choice(("0", "[0-9]+"))

    def begin(self):
        place = f"^{re.escape(self.chain.bridge.topic(self.table))}/{self.partition}$"
        self.chain.bridge.target()[APPLIED].delete_many({"_id": {"$regex": place}})
        return True


class Rewind(Event):
    """A position is marked to be applied again from an earlier offset, as anybody may."""

    def draw(self, rng):
        self.back = rng.randint(1, 30)

    def begin(self):
        place = f"{self.chain.bridge.topic(self.table)}/0"
        position = self.chain.bridge.position(self.table, 0)
        if "offset" not in position:
            return False
        to = max(position["offset"] - self.back, position.get("begin", 0))
        self.chain.bridge.target()[APPLIED].update_one({"_id": place}, {"$min": {"rewind": to}})
        return True


class RestoreOldCopy(Event):
    """The target's database as it was some seconds before, positions included, while no consumer runs."""

    lasts = (2, 8)

    def begin(self):
        database = self.chain.bridge.target()
        self.copy = {name: list(database[name].find()) for name in database.list_collection_names()}
        return bool(self.copy)

    def end(self):
        consumers = [s for s in self.chain.slots if s.role == "consumer" and s.at_work and not s.silent]
        if len(consumers) < sum(s.role == "consumer" for s in self.chain.slots):
            return  # one hangs or is silent, and may not be killed
        for slot in consumers:
            slot.program.kill9()
        self.chain.parts.mongo.drop_database(self.chain.bridge.database)
        database = self.chain.bridge.target()
        for name, documents in self.copy.items():
            database.create_collection(name)
            if documents:
                database[name].insert_many(documents)
        for slot in consumers:
            slot.start()

    def about(self):
        return ""


# --- topics ---


class TopicDeleted(Event):
    loses = "this"

    def begin(self):
        self.chain.taps[self.table].update()
        self.chain.delete_topic(self.chain.bridge.topic(self.table))
        return True


class TopicRemade(Event):
    """Deleted, and made again by somebody else, empty."""

    loses = "this"

    def begin(self):
        tap = self.chain.taps[self.table]
        if not tap.update():
            return False
        self.chain.delete_topic(tap.topic)
        self.chain.make_topic(tap.topic, len(tap.next))
        return True


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


class NamesGone(Event):
    """The name of the source or of the target does not resolve, and what is connected is cut."""

    lasts = (1, 6)

    def draw(self, rng):
        self.name = rng.choice(("source", "target"))

    def begin(self):
        if not self.chain.names:
            return False
        self.chain.names.forget(self.name)
        (self.chain.gate if self.name == "source" else self.chain.mongo).cut_all()
        return True

    def end(self):
        self.chain.names.know(self.name)

    def about(self):
        return self.name


class Roll(Event):
    weight = 4

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
        self.chain.fake.control.roll(self.table.name)
        return True


class Split(Event):
    weight = 3

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
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
        if not self.chain.has_stream(self.table):
            return False
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
        self.chain.let_pass(self.hours)
        return True

    def about(self):
        return f"{self.hours} h"


class DayGoesBy(Event):
    """More than a day at once: what was not read is lost."""

    loses = "all"
    weight = 1

    def begin(self):
        self.chain.let_pass(25)
        return True

    def about(self):
        return ""


class StreamDisabled(Event):
    loses = "this"

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
        self.chain.fake.control.disable_stream(self.table.name)
        return True


class StreamRemade(Event):
    """Disabled, and enabled again at once, or some seconds later."""

    loses = "this"

    def draw(self, rng):
        self.seconds = rng.choice((0, 1, 5))

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
        self.chain.fake.control.disable_stream(self.table.name)
        return True

    def end(self):
        model = self.chain.model(self.table)
        if model and not model.stream:
            self.chain.fake.control.new_stream(self.table.name)


class TableRemade(Event):
    """Deleted and made again, empty or with the same items."""

    loses = "this"

    def draw(self, rng):
        self.keep = rng.random() < 0.5

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
        self.chain.fake.control.recreate(self.table.name, self.keep)
        return True

    def about(self):
        return f"{self.table.name} {'full' if self.keep else 'empty'}"


class TableAway(Event):
    """Deleted, and made again some seconds later."""

    lasts = (0.5, 8)
    loses = "this"

    def begin(self):
        if not self.chain.model(self.table):
            return False
        self.chain.bridge.dynamodb.delete_table(TableName=self.table.name)
        return True

    def end(self):
        self.table.create(self.chain.bridge.dynamodb)


class ShardVanishes(Event):
    """An open shard rolls over, and nothing of it can be read any more."""

    loses = "this"

    def begin(self):
        if not self.chain.has_stream(self.table):
            return False
        control = self.chain.fake.control
        shard = self.chain.model(self.table).stream.open_shards()[0].id
        control.roll(self.table.name)
        control.vanish(self.table.name, shard)
        control.expire_iterators()
        return True


# --- requests ---


class Repair(Event):
    def draw(self, rng):
        self.number = rng.random()

    def begin(self):
        keys = self.chain.writer_of(self.table).keys
        keys = [keys[int(self.number * len(keys))], keys[0]]
        keys = keys[:1] if keys[0] == keys[1] else keys
        if not topic_check.partitions_of(self.chain.parts.kafka, signal_topic(self.chain.bridge)):
            return False
        ask_repair(self.chain.bridge, self.table, keys)
        return True

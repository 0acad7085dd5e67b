"""What befalls MongoDB, its answers, and what is in it.

No write is executed after the grace: docs/positions.md leaves that out.
"""

import re

import pymongo.errors
from support.bridge import APPLIED

from ..by_hand import REFUSAL
from .event import Event

LATE_S = 2.0  # after the client has given up, and within the grace
UNKNOWN_CODE = 7654321  # of no server that is known
VALIDATION_FAILED = 121
CONFLICT = {"ok": 0.0, "code": 112, "codeName": "WriteConflict", "errmsg": "."}
INTERRUPTED = {"ok": 0.0, "code": 11601, "codeName": "Interrupted", "errmsg": "."}
SHUTTING_DOWN = {"ok": 0.0, "code": 91, "codeName": "ShutdownInProgress", "errmsg": "."}


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


class OfMongo(Event):
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


class MongoRefuses(OfMongo):
    """Single documents, as a validator would: dead letters."""

    fault, more = "write_error", {"indexes": [0], "code": VALIDATION_FAILED, "message": REFUSAL}
    ops = ("update",)

    def draw(self, rng):
        self.collection = self.table.name

    def begin(self):
        self.chain.by_hand.refused.add(self.table.name)
        return super().begin()


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
        while not self.put_back():
            self.chain.tell("a write of a killed consumer came between")
        for slot in consumers:
            slot.start()

    def put_back(self):
        self.chain.parts.mongo.drop_database(self.chain.bridge.database)
        database = self.chain.bridge.target()
        try:
            for name, documents in self.copy.items():
                database.create_collection(name)
                if documents:
                    database[name].insert_many(documents)
        except (pymongo.errors.CollectionInvalid, pymongo.errors.OperationFailure):
            return False
        return True

    def about(self):
        return ""


KINDS = [
    RestartMongo,
    MongoAway,
    MongoCutBefore,
    MongoCutReply,
    MongoSlow,
    MongoLate,
    MongoHeld,
    MongoNotMajority,
    MongoNotPrimary,
    MongoConflict,
    MongoInterrupted,
    MongoShuttingDown,
    MongoDuplicate,
    MongoRefuses,
    MongoUnknownCode,
    DropCollection,
    DropDatabase,
    RemovePositions,
    RestoreOldCopy,
]

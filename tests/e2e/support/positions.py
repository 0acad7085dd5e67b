"""Consumers behind a proxy that puts faults between them and their positions, and what their commands say.

One command may hold statements of many partitions, so faults and counts look at statements: at what each does
and to which position.
"""

import re
import time
from datetime import datetime

from .bridge import APPLIED
from .running import wait_until

SESSION_S = 10  # a member of the group that is silent for longer has left it
IDLE_LOOK_S = 5  # an owner without work reads its positions this often
# Grace: the sum of the two, after which a write of unknown outcome can come no more.
MAX_TIME_MS, SOCKET_TIMEOUT_MS = 1000, 1000
GRACE_S = (MAX_TIME_MS + SOCKET_TIMEOUT_MS) / 1000
SETTINGS = {
    "convert.type": "change",
    "target.id": "key",
    "target.max_time_ms": MAX_TIME_MS,
    "target.socket.timeout.ms": SOCKET_TIMEOUT_MS,
}


def does(statement):
    """What a statement does to a position."""
    update = statement.get("u", {})
    sets, unsets = update.get("$set", {}), update.get("$unset", {})
    if sets.get("owner") or "uuid" in sets:
        return "take"
    if "owner" in sets:
        return "goodbye"
    if "$min" in update:
        return "mark"
    if "rewind" in unsets or "again" in unsets:
        return "back"
    return "move" if "offset" in sets else "other"


def to(offset):
    """The statement sets a position to that offset or a later one."""
    return lambda statement: statement["u"]["$set"]["offset"] >= offset


def statement_that(kind, place=None, also=lambda statement: True):
    """A fault's predicate: a statement of the command does that, to that position."""
    return lambda message: any(
        does(s) == kind and place in (None, s["q"]["_id"]) and also(s) for s in message.statements
    )


def events(program, name):
    """The fields of a program's log lines about an event, oldest first."""
    out = []
    for line in program.log().splitlines():
        fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}
        if fields.get("event") == name:
            out.append(fields)
    return out


def moment(fields):
    """When a line was logged, by the clock of the proxy's log."""
    since_1970 = datetime.fromisoformat(fields["time"].replace("Z", "+00:00")).timestamp()
    return since_1970 - time.time() + time.monotonic()


class Scene:
    """A bridge with its producer, and consumers that reach MongoDB through the proxy, or past it."""

    def __init__(self, bridge, proxy):
        self.bridge, self.proxy = bridge, proxy
        bridge.settings.update(SETTINGS)
        self.source = bridge.dynamodb

    def table(self, keys, partitions=1):
        """A table of so many items in so many partitions, in the log as a whole."""
        self.bridge.settings["topic.partitions"] = partitions
        table = self.bridge.add_table()
        self.put(table, keys, "first")
        return table

    def put(self, table, keys, mark, padding=0):
        for key in [keys] if isinstance(keys, str) else [f"k{n}" for n in range(keys)]:
            item = {"pk": {"S": key}, "mark": {"S": mark}, "padding": {"S": "x" * padding}}
            self.source.put_item(TableName=table.name, Item=item)

    def produce(self, settings=()):
        producer = self.bridge.producer(settings)
        self.bridge.wait_caught_up()
        return producer

    def consumer(self, settings=(), through=True, broken=None, arguments=()):
        """All of one group unless the settings name another; `broken` is a rule that this one breaks."""
        bridge, address = self.bridge, self.bridge.parts.mongodb
        if through:
            address = address.replace("%s:%d" % bridge.parts.mongo.address, self.proxy.address)
        more = {"build": "mutation", "env": {"DYNAFERRY_MUTATION": broken}} if broken else {}
        settings = {"target.address": address, "consumer.group": bridge.prefix, **dict(settings)}
        return bridge.consumer(settings, arguments, **more)

    # --- faults and what was sent ---

    def fault_on_writes(self, table, kind, **more):
        where = {"collection": table.name}
        return self.proxy.control.fault(kind, op="update", where=where, **more)

    def fault_on_positions(self, kind, predicate, **more):
        where = {"collection": APPLIED}
        return self.proxy.control.fault(kind, op="update", where=where, predicate=predicate, **more)

    def held(self, fault):
        """How many commands this fault holds now."""
        return self.proxy.script.find(fault).held

    def sent(self, kind, place):
        """The statements so far that did that to the position, executed or not."""
        updates = [e for e in self.proxy.control.log("update") if e["fields"]["collection"] == APPLIED]
        statements = [s for e in updates for s in e["fields"].get("list", ())]
        return [s for s in statements if s["q"]["_id"] == place and does(s) == kind]

    # --- what stands in MongoDB ---

    def place(self, table, partition=0):
        return f"{self.bridge.topic(table)}/{partition}"

    def positions(self):
        """place -> document of all partitions that were ever taken."""
        documents = self.bridge.target()[APPLIED].find({"epoch": {"$exists": True}})
        return {d["_id"]: d for d in documents if "/" in d["_id"]}

    def mark(self, table, key):
        document = self.bridge.target()[table.name].find_one({"pk": key})
        return document and document["mark"]

    def wait_mark(self, table, key, mark, seconds=30):
        what = f"{key} as {mark} in MongoDB"
        wait_until(lambda: self.mark(table, key) == mark, seconds, what, self.bridge.running())

    def wrong(self, table):
        """The collection's differences from the source."""
        return self.bridge.verify_target(table, "change", "key")

"""What somebody asks for by hand, through the signal topic or in the target's positions."""

import json

from support import topic_check
from support.bridge import APPLIED
from support.repair_requests import ask_repair, produce, signal, signal_topic

from .event import Event


class Request(Event):
    def can_ask(self):
        return topic_check.partitions_of(self.chain.parts.kafka, signal_topic(self.chain.bridge)) > 0

    def ask(self, kind, **more):
        message = json.dumps(signal(self.table, kind, **more), separators=(",", ":"))
        produce(self.chain.bridge, message.encode(), self.table.name)


class Repair(Request):
    """Of two keys."""

    def draw(self, rng):
        self.number = rng.random()

    def begin(self):
        if not self.can_ask():
            return False
        keys = self.chain.writer_of(self.table).keys
        some = keys[int(self.number * len(keys))]
        ask_repair(self.chain.bridge, self.table, [keys[0]] if some == keys[0] else [some, keys[0]])
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


class Pause(Request):
    """And on again."""

    lasts = (0.5, 8)

    def begin(self):
        if not self.can_ask():
            return False
        self.ask("pause", reason="the campaign")
        return True

    def end(self):
        self.ask("resume")


class Resnapshot(Request):
    loses = "this"  # the generation before

    def begin(self):
        generation = self.chain.ledger().get(f"table/{self.table.name}", {}).get("generation")
        if not generation or not self.can_ask():
            return False
        self.ask("snapshot", reason="the campaign", generation=generation)
        return True


KINDS = [Repair, Rewind, Pause, Resnapshot]

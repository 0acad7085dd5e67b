"""What somebody asks for by hand: through the signal topic, in the target's positions, or with a program."""

import json
from datetime import datetime, timedelta, timezone

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


class ByProgram(Event):
    """Run beside the others, and interrupted when the event ends first."""

    lasts = (1, 10)

    def begin(self):
        return self.chain.by_hand.start(self.slot, self.arguments(), self.table)

    def end(self):
        self.chain.by_hand.end(self.slot)

    def arguments(self):
        raise NotImplementedError


class Replay(ByProgram):
    weight = 3

    def draw(self, rng):
        self.point = rng.choice(("beginning", "time", "offset"))
        self.back, self.wait = rng.randint(1, 30), rng.random() < 0.5

    def arguments(self):
        point = self.point
        if point == "time":
            point = (datetime.now(timezone.utc) - timedelta(seconds=self.back)).isoformat()
        if point == "offset":
            point = f"0:{max(self.chain.bridge.position(self.table, 0).get('offset', 0) - self.back, 0)}"
        return "--replay", self.table.name, "--from", point, *(["--wait"] if self.wait else [])

    def about(self):
        return f"{self.slot.name} {self.table.name} {self.point}{' and waits' if self.wait else ''}"


class ReplayLetters(ByProgram):
    """Of one table, or of all."""

    def draw(self, rng):
        self.all = rng.random() < 0.5

    def arguments(self):
        return ("--replay-dead-letters", *([] if self.all else [self.table.name]))

    def about(self):
        return f"{self.slot.name} {'all' if self.all else self.table.name}"


KINDS = [Repair, Rewind, Pause, Resnapshot, Replay, ReplayLetters]

"""What befalls brokers, the way to them, and topics."""

from support.delete_records import delete_records

from .event import Event, OfProgram

REQUESTS = {
    "Produce": 0,
    "Fetch": 1,
    "Metadata": 3,
    "OffsetCommit": 8,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "SyncGroup": 14,
    "InitProducerId": 22,
    "AddPartitionsToTxn": 24,
    "EndTxn": 26,
}


class CutFromKafka(OfProgram):
    """Its connections are cut, and for a while it gets no others."""

    weight, lasts = 3, (0, 14)

    def begin(self):
        self.slot.kafka.away = True
        self.slot.kafka.cut_all()
        return True

    def end(self):
        self.slot.kafka.away = False


class KafkaSilent(OfProgram):
    """Requests of some kinds are not carried out, or they are and the answer is lost."""

    weight, lasts = 3, (1, 12)

    def draw(self, rng):
        self.kinds = rng.sample(list(REQUESTS), rng.randint(1, 3))
        self.lost = rng.choice(("swallowed", "unanswered"))

    def begin(self):
        setattr(self.slot.kafka, self.lost, tuple(REQUESTS[kind] for kind in self.kinds))
        return True

    def end(self):
        """With a cut: else the client would wait for the lost answer for its own minute."""
        setattr(self.slot.kafka, self.lost, ())
        self.slot.kafka.cut_all()

    def about(self):
        return f"{self.slot.name} {self.lost} {' '.join(self.kinds)}"


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


class TopicCut(Event):
    """All that was read is removed, as by retention."""

    loses = "this"

    def begin(self):
        tap = self.chain.taps[self.table]
        if not tap.update() or not any(at > 0 for at in tap.next.values()):
            return False
        delete_records(self.chain.parts.kafka, tap.topic, tap.next)
        tap.was_cut = True
        return True


KINDS = [
    CutFromKafka,
    KafkaSilent,
    RestartKafka,
    TopicDeleted,
    TopicRemade,
    TopicCut,
]

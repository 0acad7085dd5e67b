"""What befalls DynamoDB: its answers, its address, its clock, tables and their streams."""

from support.scripted_source import from_producer

from .event import Event


class OfSource(Event):
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


KINDS = [
    Throttled,
    SourceTrouble,
    Denied,
    IteratorsExpire,
    SourceAway,
    SourceSilent,
    NamesGone,
    Roll,
    Split,
    LateListing,
    ClockJumps,
    DayGoesBy,
    StreamDisabled,
    StreamRemade,
    TableRemade,
    TableAway,
    ShardVanishes,
]

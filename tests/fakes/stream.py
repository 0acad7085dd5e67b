"""The model of a DynamoDB stream: a tree of shards, each with its records, splitting and rolling over.

Invariants: an item's records stand in one chain of shards (a shard, then the child that took over its part
of the hash range), sequence numbers grow over the whole stream, and their length grows too, so that
comparing them as strings is wrong early. The caller holds the backend's lock.
"""
import itertools
import time

HASH_RANGE = 1 << 64
SHARDS = itertools.count(1)


class SequenceNumbers:
    """Numbers of 21, then 22, .. 40 digits, `step` of each length."""

    def __init__(self, step=50):
        self.step, self.count = step, 0

    def next(self):
        length = min(21 + self.count // self.step, 40)
        low = 10 ** (length - 1)
        within = self.count - (length - 21) * self.step
        self.count += 1
        width = 9 * low // (self.step + 1) if length < 40 else 10 ** 20
        return low + (within + 1) * width + self.count * 7919 % 10 ** 6


class Record:
    """`when` is the service's time at which it was made, whatever time it claims."""

    def __init__(self, seq, key, name, size, text, when):
        self.seq, self.key, self.name, self.size, self.text = seq, key, name, size, text
        self.when = when


class Shard:
    """`low`..`high` is its part of the hash range; `trimmed` the newest number that is gone."""

    def __init__(self, parent, low, high, start):
        self.id = "shardId-%020d-%08x" % (int(time.time() * 1000), next(SHARDS) * 0x9E3779B1 % 2 ** 32)
        self.parent, self.low, self.high, self.start = parent, low, high, start
        self.end, self.closed_at = None, None
        self.records = []
        self.trimmed = 0
        self.vanished = False

    def describe(self):
        known = {"StartingSequenceNumber": str(self.start)}
        if self.end is not None:
            known["EndingSequenceNumber"] = str(self.end)
        shard = {"ShardId": self.id, "SequenceNumberRange": known}
        if self.parent:
            shard["ParentShardId"] = self.parent
        return shard

    def after(self, seq, limit, max_bytes):
        """Up to `limit` records with a number above seq, and whether that drains the shard."""
        at = self._index_after(seq)
        page, total = [], 0
        for record in self.records[at:at + limit]:
            if page and total + record.size > max_bytes:
                break
            page.append(record)
            total += record.size
        return page, self.end is not None and at + len(page) == len(self.records)

    def _index_after(self, seq):
        low, high = 0, len(self.records)
        while low < high:
            mid = (low + high) // 2
            if self.records[mid].seq <= seq:
                low = mid + 1
            else:
                high = mid
        return low

    def trim(self, seq):
        """Records up to and with this number are gone."""
        self.records = self.records[self._index_after(seq):]
        self.trimmed = max(self.trimmed, seq)

    def trim_older(self, when):
        """What was made before this time is gone; so is a shard that was closed before it."""
        old = sum(1 for _ in itertools.takewhile(lambda r: r.when < when, self.records))
        if old:
            self.trim(self.records[old - 1].seq)
        if self.closed_at is not None and self.closed_at < when:
            self.vanished = True

    def newest(self):
        return self.records[-1].seq if self.records else self.trimmed


class Stream:
    """One stream of one table, from its enabling to its disabling."""

    def __init__(self, table_name, arn, label, view, shards, step, created, listing):
        self.table_name, self.arn, self.label, self.view = table_name, arn, label, view
        self.created, self.listing = created, listing
        self.trimmed_to = 0.0
        self.enabled = True
        self.numbers = SequenceNumbers(step)
        self.shards, self.by_id = [], {}
        for n in range(shards):
            low, high = n * HASH_RANGE // shards, (n + 1) * HASH_RANGE // shards
            self._add(Shard(None, low, high, self.numbers.next()))

    def _add(self, shard):
        self.shards.append(shard)
        self.by_id[shard.id] = shard

    def shard(self, shard_id):
        found = self.by_id.get(shard_id)
        return None if found is None or found.vanished else found

    def children(self, shard_id):
        return [s for s in self.shards if s.parent == shard_id]

    def open_shards(self):
        return [s for s in self.shards if s.end is None]

    def leaves(self):
        """Shards with a parent and no child: the newest ones of the tree."""
        parents = {s.parent for s in self.shards}
        return [s for s in self.shards if s.parent and s.id not in parents]

    def append(self, position, key, name, size, make_text, now):
        """Adds a record to the open shard whose range holds this position of the hash range."""
        seq = self.numbers.next()
        shard = next(s for s in self.shards if s.end is None and s.low <= position < s.high)
        shard.records.append(Record(seq, key, name, size, make_text(seq, shard.id), now))

    def divide(self, shard, children, now):
        """Closes a shard; its children share its range."""
        self.close(shard, now)
        width = shard.high - shard.low
        for n in range(children):
            low, high = shard.low + n * width // children, shard.low + (n + 1) * width // children
            self._add(Shard(shard.id, low, high, self.numbers.next()))
            self.listing.made(self.shards[-1])
        return self.shards[-children:]

    def close(self, shard, now):
        if shard.end is None:
            shard.end = max(self.numbers.next(), shard.newest())
            shard.closed_at = now

    def disable(self, now):
        self.enabled = False
        for shard in self.shards:
            self.close(shard, now)

    def trim_older(self, when):
        if when < self.trimmed_to + 1:
            return  # not at every request: there may be thousands of shards
        self.trimmed_to = when
        for shard in self.shards:
            shard.trim_older(when)

"""Which shards DescribeStream shows: its list is late and, for a while, may lack any shard.

A shard is hidden until a time, for so many listings, or until it is shown by hand. Only the list lies: an
iterator of a hidden shard is to be had. The caller holds the backend's lock.
"""
import time


class Hiding:
    """How long one shard stays out of the list; without `seconds` and `calls` until it is shown."""

    def __init__(self, seconds=None, calls=None):
        self.until = None if seconds is None else time.monotonic() + seconds
        self.calls = calls

    def over(self):
        if self.until is not None:
            return time.monotonic() >= self.until
        return self.calls is not None and self.calls <= 0


def draw(rng, span):
    """A length of time out of a setting: a number, or [least, most]."""
    low, high = span if isinstance(span, (list, tuple)) else (span, span)
    return rng.uniform(low, high)


class Listing:
    """What the list of one stream lacks. Each shard is drawn once, at the first listing after it was made."""

    def __init__(self, settings, rng):
        self.settings, self.rng = settings, rng
        self.hidden = {}  # by shard id
        self.drawn = set()

    def hide(self, shard_ids, seconds=None, calls=None):
        for shard_id in shard_ids:
            self.hidden[shard_id] = Hiding(seconds, calls)
            self.drawn.add(shard_id)

    def show(self, shard_ids=None):
        for shard_id in list(self.hidden) if shard_ids is None else shard_ids:
            self.hidden.pop(shard_id, None)

    def made(self, shard):
        """A new child; by the setting it is listed late."""
        if self.settings.late_listing_s:
            self.hide([shard.id], seconds=draw(self.rng, self.settings.late_listing_s))

    def begin(self, shards):
        """A listing starts, at its first page: what it will lack besides."""
        for shard in shards:
            if shard.id in self.drawn:
                continue
            self.drawn.add(shard.id)
            if self.settings.hide_chance and self.rng.random() < self.settings.hide_chance:
                self.hide([shard.id], seconds=draw(self.rng, self.settings.hide_s))
        self.show([shard_id for shard_id, hiding in self.hidden.items() if hiding.over()])
        for hiding in self.hidden.values():
            if hiding.calls is not None:
                hiding.calls -= 1

    def lacks(self, shard_id):
        hiding = self.hidden.get(shard_id)
        return hiding is not None and (hiding.until is None or not hiding.over())


def page_of_shards(shards, start, limit, shown):
    """(shards of one page, id to go on after or None) of those that are shown; also after one that is hidden
    by now."""
    at = 0
    if start is not None:
        at = next((n + 1 for n, shard in enumerate(shards) if shard.id == start), len(shards))
    page, more = [], False
    for shard in shards[at:]:
        if not shown(shard):
            continue
        if len(page) == limit:
            more = True
            break
        page.append(shard)
    return page, page[-1].id if more else None

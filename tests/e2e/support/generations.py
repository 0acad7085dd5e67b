"""What stands in a topic after a gap: the newest generation by itself must be whole and right.

What an earlier generation has of the same stream need not be there again, nor what is proven to be lost.
"""

from . import topic_check
from .bridge import complain
from .running import wait_until
from .topic_check import Source


def generation_of(ferry, table):
    """Of the ledger's record; 0: none."""
    return ferry.ledger()[0].get(f"table/{table.name}", {}).get("generation", 0)


def wait_renewed(ferry, table, before, seconds=90):
    """A generation newer than `before` has its whole snapshot in the topic; its record."""

    def renewed():
        record = ferry.ledger()[0].get(f"table/{table.name}", {})
        return record.get("generation", 0) > before and record["phase"] == "tail" and record["begin_offsets"]

    what = f"a generation of {table.name} after {before}"
    wait_until(renewed, seconds, what, ferry.running())
    return ferry.ledger()[0][f"table/{table.name}"]


def stream_of(ferry, table):
    """The newest stream's truth: a table that was made anew has nothing of the old one."""
    source = ferry.source(table)
    if hasattr(ferry, "fake"):
        shards = {shard["id"]: shard["parent"] for shard in ferry.fake.control.shards(table.name)}
        mine = [change for change in source.changes if change.shard in shards]
        return Source(mine, table.key_schema, shards)
    return source


def places(log):
    return frozenset(r.place for r in log if not r.bad and r.is_change)


def newest_problems(ferry, table, lost=frozenset()):
    """Problems of the newest generation. `lost`: places of changes that nobody could read any more."""
    log = [r for r in ferry.log(table) if not r.bad]
    newest = max((r.generation for r in log), default=0)
    mine, earlier = [], []
    for r in log:
        (mine if r.generation == newest else earlier).append(r)
    ledger, problems = ferry.ledger()
    source = stream_of(ferry, table)
    since = topic_check.unneeded(source, ledger, table.name) | places(earlier) | lost
    partitions = topic_check.partitions_of(ferry.parts.kafka, ferry.topic(table))
    return (
        problems
        + topic_check.check_generations(log)
        + topic_check.check_log(
            mine, source, ferry.items(table), partitions, ferry.prefix, table.name, since=since
        )
    )


def settle_newest(ferry, table, lost=frozenset(), seconds=60):
    """Everything that is written is in the newest generation's log, and that is right."""
    problems = []

    def is_right():
        problems[:] = newest_problems(ferry, table, lost)
        return not problems

    try:
        wait_until(is_right, seconds, f"the log of {table.name}", ferry.running())
    except AssertionError:
        complain(problems)
        raise

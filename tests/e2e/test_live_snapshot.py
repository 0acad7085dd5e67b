"""Puts, updates and deletes from the first page of a snapshot to after the last: nothing lost, doubled or old.

DYNAFERRY_SEEDS sets the number of seeds (3 by default, 20 in the campaign).
"""

import os

import pytest
from support import workload
from support.running import wait_until

SEEDS = range(int(os.environ.get("DYNAFERRY_SEEDS", "3")))


def changes_between_rows(log):
    """How many changes have rows of their partition behind them."""
    count, rows = 0, set()
    for record in reversed(log):
        if record.is_row:
            rows.add(record.partition)
        elif record.is_change and record.partition in rows:
            count += 1
    return count


@pytest.mark.campaign
@pytest.mark.parametrize("seed", SEEDS)
def test_a_snapshot_beside_a_writer(bridge, seed):
    kinds = workload.all_tables("")
    table = bridge.add_table(kinds[seed % len(kinds)].key_schema)
    writer = bridge.writer(table, seed=seed, keys=240, rate=120)
    writer.fill(padding=500)
    writer.start()
    settings = {
        "convert.type": ("raw", "change")[seed % 2],
        "target.id": ("objectid", "key")[seed // 2 % 2],
        # Small pages, slowly: the writer meets every one of them.
        "qps.full": 4,
        "qps.full.batch_num": 10,
        "full.read.concurrency": 1 + seed % 3,
    }
    bridge.producer(settings)
    bridge.consumer(settings)
    wait_until(lambda: bridge.phase(table) == "tail", 120, "the snapshot's end", bridge.running())
    at_end = writer.written
    wait_until(lambda: writer.written >= at_end + 100, 60, "writes after it", bridge.running())
    bridge.settle(90)
    assert changes_between_rows(bridge.log(table)) >= 10, "the writer did not run beside the snapshot"
    bridge.verify(settings["convert.type"], settings["target.id"])
    for program in bridge.programs:
        program.sigterm()

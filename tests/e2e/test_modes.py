"""The ways to run the programs: sync modes, filters, ends, outages, several instances."""

import pytest
from support import topic_check
from support.bridge import complain
from support.oracle import KeySchema
from support.running import wait_until

# Of 200 items: 40 s, so that whatever ends it in between does so.
SLOW_SCAN = {"qps.full": 1, "qps.full.batch_num": 5}


def wait_phase(bridge, table, phase, seconds=60):
    wait_until(lambda: bridge.phase(table) == phase, seconds, f"phase {phase}", bridge.running())


def generations(log):
    return sorted({record.generation for record in log})


# --- sync modes ---


def test_full_copies_once_ends_by_itself_and_needs_no_stream(bridge):
    table = bridge.add_table(stream=None)
    bridge.writer(table, seed=1, keys=120).fill()
    producer = bridge.run("producer", {"sync_mode": "full"})
    assert producer.process.returncode == 0, producer.story()
    description = bridge.dynamodb.describe_table(TableName=table.name)["Table"]
    assert "LatestStreamArn" not in description
    consumer = bridge.run("consumer", {"sync_mode": "full"}, ["--until-idle", "3"])
    assert consumer.process.returncode == 0, consumer.story()
    bridge.verify()


def test_a_finished_full_is_repeated_as_a_new_generation(bridge):
    table = bridge.add_table(stream=None)
    bridge.writer(table, seed=2, keys=30).fill()
    for _ in range(2):
        assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    log = bridge.log(table)
    assert len(generations(log)) == 2
    assert sum(record.is_row for record in log) == 60
    complain(topic_check.check_controls(log, 4))


def test_an_unfinished_full_is_continued(bridge):
    table = bridge.add_table(stream=None)
    bridge.writer(table, seed=3, keys=200).fill()
    slow = {"sync_mode": "full", **SLOW_SCAN}
    producer = bridge.producer(slow)
    wait_phase(bridge, table, "snapshot")
    wait_until(lambda: sum(r.is_row for r in bridge.log(table)) >= 20, 30, "rows", [producer])
    producer.kill9()
    assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    log = bridge.log(table)
    assert len(generations(log)) == 1
    assert sum(record.is_row for record in log) == 200


def test_incr_takes_the_stream_from_its_horizon_and_no_rows(bridge):
    table = bridge.add_table(stream=None)
    writer = bridge.writer(table, seed=4, keys=60, rate=60)
    writer.fill()
    quiet = {record["v"]["N"] for record in bridge.items(table)}
    assert quiet == {"1"}
    bridge.dynamodb.update_table(
        TableName=table.name,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    writer.start()
    wait_until(lambda: writer.written >= 100, 30, "writes before the start")
    bridge.producer({"sync_mode": "incr"})
    bridge.consumer()
    wait_until(lambda: writer.written >= 160, 60, "writes beside it", bridge.running())
    bridge.settle()
    source, log = bridge.source(table), bridge.log(table)
    changed = {source.key_of(change) for change in source.changes}
    items = [
        i for i in bridge.items(table) if topic_check.canonical_key(table.key_schema.key_of(i)) in changed
    ]
    # A generation without rows begins and has nothing to end.
    complain(topic_check.check_log(log, source, items, 4, bridge.prefix, table.name, finished=False))
    assert not [record for record in log if record.is_row]
    begins = [record for record in log if record.control == "snapshot-begin"]
    assert [record.event["control"]["rows"] for record in begins] == [False] * 4


def test_all_after_full_starts_its_own_generation(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=5, keys=40, rate=60)
    writer.fill()
    assert bridge.run("producer", {"sync_mode": "full"}).process.returncode == 0
    bridge.producer({"sync_mode": "all"})
    writer.start()
    wait_until(lambda: writer.written >= 100, 60, "writes", bridge.running())
    bridge.stop_writers()
    bridge.wait_caught_up()
    assert len(generations(bridge.log(table))) == 2
    complain(bridge.verify_log(table))


# --- tables ---


def test_a_white_list_takes_only_its_tables(bridge):
    wanted, other = bridge.add_table(), bridge.add_table()
    for table in wanted, other:
        bridge.writer(table, seed=6, keys=10).fill()
    bridge.producer({"filter.collection.white": wanted.name})
    bridge.consumer()
    bridge.wait_caught_up(tables=[wanted])
    bridge.wait_applied(tables=[wanted])
    assert topic_check.partitions_of(bridge.parts.kafka, bridge.topic(other)) == 0
    assert f"table/{other.name}" not in bridge.ledger()[0]
    complain(bridge.verify_target(wanted, "raw"))
    assert other.name not in bridge.target().list_collection_names()


def others(bridge):
    """Every table that is there but is none of this test's, for a black list."""
    names = bridge.dynamodb.get_paginator("list_tables").paginate().build_full_result()["TableNames"]
    return ";".join(set(names) - {table.name for table in bridge.tables}) or "no-such-table"


def test_a_black_list_leaves_its_tables_out(bridge):
    wanted, other = bridge.add_table(), bridge.add_table()
    for table in wanted, other:
        bridge.writer(table, seed=7, keys=10).fill()
    black = f"{others(bridge)};{other.name}"
    bridge.producer({"filter.collection.white": None, "filter.collection.black": black})
    bridge.wait_caught_up(tables=[wanted])
    assert topic_check.partitions_of(bridge.parts.kafka, bridge.topic(other)) == 0


def test_a_table_made_while_they_run_is_taken_up(bridge):
    first = bridge.add_table()
    bridge.writer(first, seed=8, keys=10).fill()
    settings = {"filter.collection.white": None, "filter.collection.black": others(bridge)}
    bridge.producer(settings)
    bridge.consumer(settings)
    bridge.wait_caught_up()
    second = bridge.add_table(KeySchema(("pk", "sk"), ("N", "S")))
    bridge.writer(second, seed=9, keys=40).fill()
    bridge.wait_caught_up(120, tables=[second])
    bridge.wait_applied(60, tables=[second])
    bridge.verify()


def test_a_missing_stream_is_enabled(bridge):
    table = bridge.add_table(stream=None)
    writer = bridge.writer(table, seed=10, keys=30, rate=60)
    writer.fill()
    bridge.producer()
    bridge.consumer()
    wait_phase(bridge, table, "tail")
    writer.start()
    wait_until(lambda: writer.written >= 90, 60, "writes", bridge.running())
    bridge.settle()
    bridge.verify()


@pytest.mark.parametrize("view", ["KEYS_ONLY", "OLD_IMAGE"])
def test_a_stream_without_new_images_is_refused_by_name(bridge, view):
    """Only that table is halted."""
    refused, good = bridge.add_table(stream=view), bridge.add_table()
    for table in refused, good:
        bridge.writer(table, seed=11, keys=10).fill()
    producer = bridge.producer()
    bridge.wait_caught_up(tables=[good])
    wait_phase(bridge, refused, "failed")
    reason = bridge.ledger()[0][f"table/{refused.name}"]["reason"]
    assert view in reason and "NEW_AND_OLD_IMAGES" in reason
    told = lambda: any(refused.name in line and view in line for line in producer.log().splitlines())
    wait_until(told, 30, "the log to tell it too", [producer])


def test_a_table_deleted_while_they_run_is_gone_and_its_neighbour_goes_on(bridge):
    gone, good = bridge.add_table(), bridge.add_table()
    writers = [bridge.writer(table, seed=12, keys=20, rate=40) for table in (gone, good)]
    for writer in writers:
        writer.fill()
    bridge.producer()
    bridge.consumer()
    bridge.wait_caught_up()
    bridge.dynamodb.delete_table(TableName=gone.name)
    wait_phase(bridge, gone, "gone")
    writers[1].start()
    wait_until(lambda: writers[1].written >= 60, 60, "writes", bridge.running())
    bridge.stop_writers()
    bridge.wait_caught_up(tables=[good])
    bridge.wait_applied(tables=[good])
    complain(bridge.verify_log(good) + bridge.verify_target(good, "raw"))


# --- ends ---


@pytest.mark.asan
def test_sigterm_under_load_ends_both_with_0_and_nothing_is_lost(bridge):
    table = bridge.add_table()
    writer = bridge.writer(table, seed=13, keys=60, rate=80)
    writer.fill()
    producer, consumer = bridge.producer(), bridge.consumer()
    writer.start()
    for _ in range(2):
        at = writer.written
        wait_until(lambda: writer.written >= at + 80, 60, "writes", bridge.running())
        producer.sigterm(10)
        # The broker writes the marks of a commit behind its answer. One that was left open stays for 15 s.
        wait_until(lambda: not bridge.transaction_open(), 5, "no transaction to be left open")
        consumer.sigterm(10)
        producer, consumer = bridge.producer(), bridge.consumer()
    bridge.settle()
    bridge.verify()
    for program in producer, consumer:
        program.sigterm(10)


def test_sigterm_in_a_snapshot_ends_in_seconds_and_the_next_run_goes_on(bridge):
    table = bridge.add_table()
    bridge.writer(table, seed=14, keys=200).fill()
    producer = bridge.producer(SLOW_SCAN)
    wait_phase(bridge, table, "snapshot")
    wait_until(lambda: sum(r.is_row for r in bridge.log(table)) >= 20, 30, "rows", [producer])
    producer.sigterm(10)
    assert bridge.phase(table) == "snapshot"
    bridge.producer()
    bridge.consumer()
    bridge.settle()
    bridge.verify()
    assert len(generations(bridge.log(table))) == 1


def test_until_idle_ends_the_consumer_when_nothing_comes(bridge):
    table = bridge.add_table()
    bridge.writer(table, seed=15, keys=50).fill()
    bridge.producer()
    bridge.wait_caught_up()
    consumer = bridge.run("consumer", {}, ["--until-idle", "2"], seconds=60)
    assert consumer.process.returncode == 0, consumer.story()
    complain(bridge.verify_target(table, "raw"))


# --- outages ---


@pytest.mark.parametrize("part", ["mongodb", "kafka"])
def test_an_outage_is_waited_out(bridge, part):
    """Killed, away for a while, back: both programs still run, and go on by themselves."""
    bridge.parts.need_ours(part)
    table = bridge.add_table()
    writer = bridge.writer(table, seed=16, keys=60, rate=40)
    writer.fill()
    producer, consumer = bridge.producer(), bridge.consumer()
    bridge.wait_caught_up()
    bridge.wait_applied()
    writer.start()
    bridge.parts.script("kill", part)
    try:
        at = writer.written
        # Long enough for every connection to notice and for the first delays to grow.
        wait_until(lambda: writer.written >= at + 200, 120, "writes during the outage", [producer, consumer])
    finally:
        bridge.parts.script("start", part)
    at = writer.written
    wait_until(lambda: writer.written >= at + 20, 120, "writes after the outage", [producer, consumer])
    bridge.settle(120)
    bridge.verify()
    for program in producer, consumer:
        assert program.running
        program.sigterm()


# --- several instances ---


def shares(bridge, group):
    """Member -> its number of partitions, of a settled group."""
    return {m.member_id: len(m.assignment.topic_partitions) for m in bridge.group(group)[1]}


def groups(bridge):
    """The bridge's consumer groups by name."""
    found = bridge.admin.list_consumer_groups().result().valid
    return [g.group_id for g in found if g.group_id.startswith(bridge.prefix + "-")]


def consumer_group(bridge):
    return next((g for g in groups(bridge) if g != f"{bridge.prefix}-producer"), None)


def shared_by_two(bridge, group):
    return group and len(shares(bridge, group)) == 2 and all(shares(bridge, group).values())


@pytest.mark.tsan
def test_two_of_each_share_the_tables_and_one_leaves(bridge):
    tables = [bridge.add_table() for _ in range(4)]
    for seed, table in enumerate(tables):
        bridge.writer(table, seed=17 + seed, keys=40, rate=20).fill()
    producers = [bridge.producer(), bridge.producer()]
    consumers = [bridge.consumer(), bridge.consumer()]
    for writer in bridge.writers:
        writer.start()
    group = f"{bridge.prefix}-producer"
    wait_until(lambda: shared_by_two(bridge, group), 60, "two producers share", bridge.running())
    wait_until(
        lambda: shared_by_two(bridge, consumer_group(bridge)), 60, "two consumers share", bridge.running()
    )
    at = bridge.writers[0].written
    wait_until(lambda: bridge.writers[0].written >= at + 20, 120, "writes for four", bridge.running())
    producers[0].sigterm()
    consumers[1].sigterm()
    at = bridge.writers[0].written
    wait_until(lambda: bridge.writers[0].written >= at + 20, 120, "writes for two", bridge.running())
    bridge.settle(90)
    bridge.verify()
    placed = {
        state
        for key, state in bridge.ledger()[0].items()
        if key.startswith("place/")
        for state in [str(state)]
    }
    assert len(placed) > 1, "every table is in one ledger partition"


def test_an_instance_id_used_twice_ends_the_first(bridge):
    """Fenced by another instance of the same id: exit 78, and it never rejoins."""
    table = bridge.add_table()
    bridge.writer(table, seed=21, keys=20).fill()
    first = bridge.producer({"instance.id": "the-one"})
    bridge.wait_caught_up()
    second = bridge.producer({"instance.id": "the-one"})
    assert first.wait(60) == 78, first.story()
    assert "the-one" in first.log()
    bridge.wait_caught_up()
    second.sigterm()
    complain(bridge.verify_log(table))


# --- health ---


def test_health_and_metrics_tell_what_runs(bridge):
    table = bridge.add_table()
    bridge.writer(table, seed=22, keys=25).fill()
    producer, consumer = bridge.producer(), bridge.consumer()
    bridge.settle()
    for program in producer, consumer:
        for path in "/healthz", "/readyz", "/livez":
            wait_until(lambda: program.get(path)[0] == 200, 30, f"{path} of {program.name}", [program])
        status, text = program.get("/metrics")
        assert status == 200 and "# TYPE dynaferry_" in text
        assert bridge.secret_key not in text

"""Requests by hand: a flag of dynaferry-producer asks the producer that carries a table, and its exit code says
what came of it.
"""

import re
import signal

import confluent_kafka
import pytest
from support.positions import events
from support.repair_requests import wait_placed
from support.running import wait_until

TAKEN, REFUSED, USAGE, NOBODY = 0, 1, 64, 69


def command(bridge, *arguments, **settings):
    """Runs a command to its end."""
    return bridge.run("producer", {"start.timeout": 30, **settings}, arguments)


def done(bridge, *arguments, **settings):
    program = command(bridge, *arguments, **settings)
    assert program.process.returncode == TAKEN, program.story()
    return program


def refused(bridge, code, words, *arguments, **settings):
    program = command(bridge, *arguments, **settings)
    assert program.process.returncode == code, program.story()
    assert re.search(words, program.log()), program.story()
    return program


def record(bridge, table):
    return bridge.ledger()[0].get(f"table/{table.name}", {})


def wait_phase(bridge, table, phase, seconds=60):
    wait_until(lambda: bridge.phase(table) == phase, seconds, f"{table.name} in phase {phase}", bridge.running())


def begin(bridge, seed, keys=40):
    """A filled table that is carried and applied."""
    table = bridge.add_table()
    writer = bridge.writer(table, seed=seed, keys=keys)
    writer.fill()
    bridge.producer()
    bridge.consumer()
    wait_placed(bridge, table)
    bridge.wait_caught_up()
    bridge.wait_applied()
    return table, writer


# --- what can't be asked for ---


@pytest.mark.parametrize(
    "arguments",
    [("--pause", "a", "--resume", "a"), ("--wait",), ("--reason", "x"), ("--pause",), ("--forget=",)],
    ids=" ".join,
)
def test_half_a_command_is_a_usage_error(bridge, arguments):
    assert command(bridge, *arguments).process.returncode == USAGE


def test_without_a_broker_or_a_producer_that_ever_ran_nothing_can_be_asked_for(bridge):
    refused(bridge, NOBODY, r"no topic .*-signal: no producer has run", "--pause", "orders")
    dead = {"kafka.bootstrap.servers": "127.0.0.1:1", "start.timeout": 1}
    refused(bridge, NOBODY, r"Kafka at 127\.0\.0\.1:1 does not answer", "--pause", "orders", **dead)


@pytest.mark.parametrize("flag", ["--resnapshot", "--pause", "--resume", "--forget"])
def test_a_table_that_the_ledger_does_not_know_is_refused_and_asked_for_nothing(bridge, flag):
    table = bridge.add_table()
    producer = bridge.producer()
    wait_placed(bridge, table)
    refused(bridge, REFUSED, "the ledger knows no table no-such-table", flag, "no-such-table")
    reader = confluent_kafka.Consumer({"bootstrap.servers": bridge.parts.kafka, "group.id": "none"})
    place = confluent_kafka.TopicPartition(f"{bridge.prefix}-signal", 0)
    assert reader.get_watermark_offsets(place, timeout=30)[1] == 0
    reader.close()
    producer.sigterm()


@pytest.mark.asan
def test_a_refusal_is_told_with_its_reason_also_when_the_log_is_a_file(bridge):
    table = bridge.add_table()
    bridge.producer()
    wait_placed(bridge, table)
    refused(bridge, REFUSED, f"forget of {table.name} was refused: the table exists", "--forget", table.name)
    log = bridge.directory / "commands.log"
    program = refused(bridge, REFUSED, "the table exists", "--forget", table.name, **{"log.file": log})
    (line,) = program.log().splitlines()
    assert line.startswith("dynaferry-producer: forget of")
    assert "the table exists" in log.read_text()


# --- nobody is there ---


def test_with_the_producer_away_a_request_stays_in_the_topic_and_is_taken_when_one_runs(bridge):
    table = bridge.add_table()
    first = bridge.producer()
    wait_placed(bridge, table)
    wait_phase(bridge, table, "tail")
    first.sigterm()
    refused(bridge, NOBODY, "no producer took it yet: it stays in the topic", "--pause", table.name, **{"start.timeout": 1})
    assert bridge.phase(table) == "tail"
    bridge.producer()
    wait_phase(bridge, table, "paused")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_waiting_and_says_where_the_request_is(bridge, number):
    table = bridge.add_table()
    first = bridge.producer()
    wait_placed(bridge, table)
    wait_phase(bridge, table, "tail")
    first.sigterm()
    program = bridge.producer({"log.level": "debug"}, ("--pause", table.name))
    wait_until(lambda: events(program, "request sent"), 30, "the request in the topic", [program])
    program.signal(number)
    assert program.wait(15) == REFUSED
    assert "interrupted: it is in the topic" in program.log()


# --- what is done ---


def test_a_paused_table_is_not_read_until_it_is_resumed(bridge):
    table, writer = begin(bridge, seed=301)
    reason = ("--reason", "maintenance of the target")
    done(bridge, "--pause", table.name, "--wait", *reason)
    assert bridge.phase(table) == "paused"
    assert "maintenance of the target" in record(bridge, table)["reason"]
    done(bridge, "--pause", table.name)  # again is harmless
    before = len(bridge.log(table))
    writer.start()
    wait_until(lambda: writer.written > 50, 60, "writes", bridge.running())
    assert len(bridge.log(table)) == before
    done(bridge, "--resume", table.name, "--wait")
    assert bridge.phase(table) == "tail"
    done(bridge, "--resume", table.name, "--wait")
    bridge.settle()
    bridge.verify()


def test_a_table_is_copied_again_once_for_each_time_it_is_asked_for(bridge):
    table, writer = begin(bridge, seed=302)
    first = record(bridge, table)["generation"]
    writer.start()
    done(bridge, "--resnapshot", table.name, "--wait")
    second = record(bridge, table)
    assert second["generation"] > first and second["finished_ms"] > 0
    done(bridge, "--resnapshot", table.name, "--wait")
    assert record(bridge, table)["generation"] > second["generation"]
    bridge.settle()
    begins = {r.generation for r in bridge.log(table) if r.control == "snapshot-begin"}
    assert len(begins) == 3
    bridge.verify()


def test_a_table_that_was_deleted_is_forgotten_and_what_is_printed_removes_the_rest(bridge):
    table, writer = begin(bridge, seed=303)
    bridge.dynamodb.delete_table(TableName=table.name)
    wait_phase(bridge, table, "gone")
    program = done(bridge, "--forget", table.name, "--wait")
    assert not [key for key in bridge.ledger()[0] if table.name in key.split("/")]
    printed = program.log()
    assert f"--delete --topic {bridge.topic(table)}\n" in printed
    assert f'db.getCollection("{table.name}").drop()' in printed
    found = re.search(r"deleteMany\(\{_id: /(.*)/\}\)", printed)[1]
    positions = bridge.target()["dynaferry:applied"]
    here = [d["_id"] for d in positions.find()]
    theirs = [name for name in here if name.split("/")[0] == bridge.topic(table)]
    assert theirs and theirs == [d["_id"] for d in positions.find({"_id": {"$regex": found.replace("\\/", "/")}})]
    refused(bridge, REFUSED, "the ledger knows no table", "--forget", table.name)


def test_a_table_that_stays_gone_ends_the_waiting_with_the_reason_and_one_that_came_back_goes_on(bridge):
    table, writer = begin(bridge, seed=305)
    bridge.dynamodb.delete_table(TableName=table.name)
    wait_phase(bridge, table, "gone")
    halted = f"table {table.name} is halted in phase gone: the table does not exist"
    refused(bridge, REFUSED, halted, "--resume", table.name, "--wait")
    assert "retry" not in record(bridge, table)
    before = record(bridge, table)["generation"]
    table.create(bridge.dynamodb)
    done(bridge, "--resume", table.name, "--wait")
    again = record(bridge, table)
    assert again["phase"] in ("snapshot", "tail") and again["generation"] > before


@pytest.mark.parametrize("flag", ["--resume", "--resnapshot"])
def test_a_table_that_never_began_ends_the_waiting_when_it_was_looked_at_again(bridge, flag):
    """What hinders it is there still; then it is mended."""
    table = bridge.add_table(stream=None)
    bridge.producer({"stream.enable": "false"})
    wait_phase(bridge, table, "failed")
    refused(bridge, REFUSED, "is halted in phase failed: it has no stream", flag, table.name, "--wait")
    assert record(bridge, table)["generation"] == 0 and "retry" not in record(bridge, table)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    bridge.dynamodb.update_table(TableName=table.name, StreamSpecification=stream)
    done(bridge, flag, table.name, "--wait")
    assert record(bridge, table)["generation"] > 0
    assert flag == "--resume" or record(bridge, table)["finished_ms"] > 0


def test_two_commands_at_once_are_both_answered(bridge):
    table, writer = begin(bridge, seed=304)
    programs = [bridge.program("producer", {}, (flag, table.name)).start() for flag in ("--pause", "--pause", "--resume")]
    assert [program.wait(60) for program in programs] == [TAKEN] * 3
    done(bridge, "--resume", table.name, "--wait")
    bridge.settle()
    bridge.verify()

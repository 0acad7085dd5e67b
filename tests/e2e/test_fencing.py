"""One writer per table: who lost a table cannot commit a single record of it more.

Each time A stands inside an open transaction when it loses the table: by being removed from the group while
an answer keeps it waiting, by SIGSTOP past its session, by another handle of its transactional id. The
uncommitted log shows that A's records were really there; the committed one must not.
"""

import confluent_kafka
import pytest
from bridge import complain
from group_kick import kick
from running import wait_until

SETTINGS = {
    "ledger.partitions": 1,
    "topic.partitions": 2,
    "full.read.concurrency": 2,
    # Transactions that stay open while pages of one segment flow and the other one's is held.
    "commit.interval.ms": 5000,
    "qps.full": 6,
    "qps.full.batch_num": 10,
}


@pytest.fixture
def table(scripted):
    """400 items, whose scan takes long enough for every scene."""
    scripted.settings.update(SETTINGS)
    made = scripted.add_table()
    scripted.writer(made, seed=1, keys=400, rate=30).fill()
    return made


def owners(bridge):
    """(coordinator, {client id: member}) of the producers that own ledger partitions."""
    coordinator, members = bridge.group(f"{bridge.prefix}-producer")
    return coordinator, {m.client_id: m for m in members if m.assignment.topic_partitions}


def held_in_a_transaction(bridge, producer):
    """Holds the next page of segment 0; returns once it is held and rows of segment 1 are uncommitted."""
    fault = bridge.fake.control.fault("hold", op="Scan", where={"Segment": 0}, skip=2, when="after")
    wait_until(lambda: bridge.fake.control.wait_held(fault, 0.1), 60, "a held page", [producer])
    wait_until(bridge.transaction_open, 30, "an open transaction", [producer])
    return fault


def stop_in_a_transaction(bridge, producer):
    def stopped():
        producer.hang()
        if bridge.transaction_open():
            return True
        producer.go_on()
        return False

    wait_until(stopped, 60, "a stop inside a transaction", [producer])


def refused_records(bridge, table):
    """Offsets of records that are in the log but in no committed transaction."""
    committed = {(r.partition, r.offset) for r in bridge.log(table)}
    everything = {(r.partition, r.offset) for r in bridge.log(table, "read_uncommitted")}
    return everything - committed


def finish(bridge, table):
    """Everything once, in order, and with records that were refused."""
    bridge.stop_writers()
    bridge.wait_caught_up(120)
    complain(bridge.verify_log(table))
    assert refused_records(bridge, table), "the transaction was not open after all"
    assert {r.generation for r in bridge.log(table)} == {
        bridge.ledger()[0][f"table/{table.name}"]["generation"]
    }


def test_a_member_that_lost_the_table_while_an_answer_kept_it_waiting(scripted, table):
    """A is removed from the group; B takes the table; then A gets its page and goes on: refused."""
    programs = {name: scripted.producer({"kafka.client.id": name}) for name in "AB"}
    wait_until(lambda: len(owners(scripted)[1]) == 1, 60, "an owner", scripted.running())
    fault = held_in_a_transaction(scripted, programs["A"])
    coordinator, found = owners(scripted)
    ((name, owner),) = found.items()
    kick(coordinator, f"{scripted.prefix}-producer", owner.member_id)
    other = {"A": "B", "B": "A"}[name]
    wait_until(lambda: other in owners(scripted)[1], 60, f"{other} owns the table", scripted.running())
    wait_until(lambda: table.name in programs[other].log(), 60, f"{other} works", scripted.running())
    scripted.fake.control.release(id=fault)
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    finish(scripted, table)
    for program in programs.values():
        assert program.running, program.story()
        program.sigterm(30)


def test_a_process_stopped_past_its_session(scripted, table):
    """SIGSTOP inside an open transaction; B takes over and goes on from A's last commit; SIGCONT."""
    first = scripted.producer()
    wait_until(lambda: owners(scripted)[1], 60, "an owner", [first])
    wait_until(lambda: any(r.is_row for r in scripted.log(table)), 60, "committed rows", [first])
    stop_in_a_transaction(scripted, first)
    before = {(r.partition, r.offset) for r in scripted.log(table)}
    second = scripted.producer()
    committed = lambda: {(r.partition, r.offset) for r in scripted.log(table)} - before
    wait_until(committed, 60, "rows committed by the second", [second])
    first.go_on()
    wait_until(lambda: "fenced" in first.log().lower(), 60, "the first to notice", scripted.running())
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    finish(scripted, table)
    for program in first, second:
        assert program.running, program.story()
        program.sigterm(30)


@pytest.mark.asan
def test_a_handle_fenced_by_another_of_its_transactional_id(scripted, table):
    """It drops everything, and takes the table over again, since it is still assigned."""
    producer = scripted.producer()
    fault = held_in_a_transaction(scripted, producer)
    other = confluent_kafka.Producer(
        {"bootstrap.servers": scripted.parts.kafka, "transactional.id": f"{scripted.prefix}-0"}
    )
    other.init_transactions(30)
    wait_until(lambda: "fenced" in producer.log().lower(), 60, "it notices", [producer])
    scripted.fake.control.release(id=fault)
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", [producer])
    finish(scripted, table)
    producer.sigterm(30)

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


def committed(bridge, table, isolation="read_committed"):
    return {(r.partition, r.offset) for r in bridge.log(table, isolation)}


def refused_records(bridge, table):
    """Records that are in the log but in no committed transaction."""
    return committed(bridge, table, "read_uncommitted") - committed(bridge, table)


def finish(bridge, table, refused=True):
    """Everything once, in order, in one generation, and (if so) with records that were refused."""
    bridge.stop_writers()
    bridge.wait_caught_up(120)
    complain(bridge.verify_log(table))
    assert not refused or refused_records(bridge, table), "the transaction was not open after all"
    assert {r.generation for r in bridge.log(table)} == {
        bridge.ledger()[0][f"table/{table.name}"]["generation"]
    }


def test_a_member_that_lost_the_table_while_an_answer_kept_it_waiting(scripted, table):
    """A is removed from the group and learns of it late; B takes the table; A gets its page and goes on."""
    # Partitions go to members in the order of their names; a member learns of its loss with its next heartbeat.
    heartbeat = {"A": 9000, "B": 300}
    programs = {
        name: scripted.producer({"kafka.client.id": name, "kafka.heartbeat.interval.ms": pause})
        for name, pause in heartbeat.items()
    }
    group = f"{scripted.prefix}-producer"
    wait_until(lambda: len(scripted.group(group)[1]) == 2, 60, "two members", scripted.running())
    wait_until(lambda: "A" in owners(scripted)[1], 60, "A owns the table", scripted.running())
    fault = held_in_a_transaction(scripted, programs["A"])
    coordinator, found = owners(scripted)
    kick(coordinator, group, found["A"].member_id)
    wait_until(lambda: table.name in programs["B"].log(), 60, "B works", scripted.running())
    scripted.fake.control.release(id=fault)
    lost = ("fenced", "given back")
    wait_until(lambda: any(w in programs["A"].log() for w in lost), 60, "A to notice", scripted.running())
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    finish(scripted, table, refused=False)
    for program in programs.values():
        assert program.running, program.story()
        program.sigterm(30)


def test_a_process_stopped_past_its_session(scripted, table):
    """A waits for a page, inside an open transaction, and is stopped. B takes over and goes on from A's last
    commit. The page arrives, A goes on: refused."""
    first = scripted.producer()
    fault = held_in_a_transaction(scripted, first)
    stop_in_a_transaction(scripted, first)
    before = committed(scripted, table)
    second = scripted.producer()
    wait_until(lambda: committed(scripted, table) - before, 60, "rows committed by the second", [second])
    scripted.fake.control.release(id=fault)
    first.go_on()
    wait_until(lambda: "fenced" in first.log(), 60, "the first to notice", scripted.running())
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
    wait_until(lambda: "fenced" in producer.log(), 60, "it notices", [producer])
    scripted.fake.control.release(id=fault)
    for writer in scripted.writers:
        writer.start()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", [producer])
    finish(scripted, table)
    producer.sigterm(30)

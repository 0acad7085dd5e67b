"""Dead letters are replayed once their cause is gone: each item is read again and carried as it is now, the letters
are marked, and none is lost or handled twice.
"""

import json
import signal

import confluent_kafka
import pytest
from support import topic_check
from support.bridge import complain
from support.positions import events
from support.refusing import ferry, letters_of, proxy, put
from support.repair_requests import repairs, wait_placed
from support.running import wait_until

DONE, LEFT, USAGE, NOBODY = 0, 1, 64, 69
VALIDATION_FAILED = 121


def replay(bridge, *arguments, **settings):
    return bridge.run("consumer", {"start.timeout": 30, **settings}, ("--replay-dead-letters", *arguments))


def replayed(bridge, code, handled, left, *arguments, **settings):
    """Its exit code, and how many letters it says were handled and are left."""
    program = replay(bridge, *arguments, **settings)
    assert program.process.returncode == code, program.story()
    ((line),) = events(program, "dead letters replayed")
    assert (int(line["handled"]), int(line["left"])) == (handled, left), program.story()
    return program


def marks_of(bridge):
    """(offset of the letter, message key) of all marks, which fit the schema."""
    topic, found = f"{bridge.prefix}-dead-letter", []
    for message in topic_check.read_messages(bridge.parts.kafka, topic):
        complain(topic_check.schema_problems(topic_check.validator("dead-letter"), message.value(), "a mark"))
        record = json.loads(message.value())
        if record["stage"] == "handled":
            found.append((record["letter"]["offset"], message.key()))
    return found


def refuse_documents(ferry, table):
    """MongoDB refuses every document of the table, as a validator would, until the fault is cleared."""
    error = {"code": VALIDATION_FAILED, "message": "Document failed validation"}
    where = {"collection": table.name}
    return ferry.proxy.control.fault("write_error", op="update", where=where, times=-1, **error)


def start(ferry, tables=1):
    tables = [ferry.add_table() for _ in range(tables)]
    ferry.producer()
    ferry.consumer()
    for table in tables:
        wait_placed(ferry, table)
    ferry.wait_caught_up()
    ferry.wait_applied()
    return tables


def write_refused(ferry, table, names, version=1):
    """Items that become letters."""
    refuse_documents(ferry, table)
    for name in names:
        put(ferry, table, name, v={"N": str(version)})
    ferry.wait_caught_up()
    ferry.wait_applied()
    ferry.proxy.control.clear()


def wrong(ferry, table):
    return ferry.verify_target(table, "raw")


@pytest.mark.asan
def test_what_the_target_refused_is_carried_again_and_its_letters_are_marked(ferry):
    (table,) = start(ferry)
    names = [f"k{n}" for n in range(12)]
    write_refused(ferry, table, names)
    put(ferry, table, "k3", v={"N": "9"})  # newer than its letter
    ferry.wait_caught_up()
    ferry.wait_applied()
    letters = letters_of(ferry, table)
    assert len(letters) == 12 and wrong(ferry, table)
    replayed(ferry, DONE, 12, 0)
    ferry.wait_applied()
    complain(wrong(ferry, table))
    assert {r.keys["pk"]["S"] for r in repairs(ferry, table)} == set(names)
    keys = sorted(f"{letter['topic']}/{letter['partition']}/{letter['offset']}".encode() for letter in letters)
    assert sorted(key for _, key in marks_of(ferry)) == keys
    before = len(ferry.log(table))
    replayed(ferry, DONE, 0, 0)  # again is harmless
    assert len(ferry.log(table)) == before and len(letters_of(ferry, table)) == 12


def test_what_was_too_large_for_the_topic_is_carried_when_it_may_be_larger(bridge):
    table = bridge.add_table()
    first = bridge.producer({"topic.max.message.bytes": 100_000})
    wait_placed(bridge, table)
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "large"}, "text": {"S": "x" * 200_000}})
    bridge.wait_caught_up()
    assert [letter["stage"] for letter in letters_of(bridge, table)] == ["producer"]
    first.sigterm()
    bridge.limit_messages(table, 8_000_000)
    bridge.producer()
    bridge.consumer()
    replayed(bridge, DONE, 1, 0, table.name)
    bridge.wait_applied()
    complain(bridge.verify_target(table, "raw"))


def test_a_cause_that_is_not_gone_makes_a_new_letter(ferry):
    (table,) = start(ferry)
    write_refused(ferry, table, ["a"])
    refuse_documents(ferry, table)
    replayed(ferry, DONE, 1, 0)
    ferry.wait_applied()
    assert len(letters_of(ferry, table)) == 2
    ferry.proxy.control.clear()
    replayed(ferry, DONE, 1, 0)
    ferry.wait_applied()
    complain(wrong(ferry, table))


def test_only_the_letters_of_the_table_that_is_named_are_replayed(ferry):
    one, other = start(ferry, tables=2)
    for table in (one, other):
        write_refused(ferry, table, ["a", "b"])
    replayed(ferry, DONE, 2, 0, other.name)
    ferry.wait_applied()
    complain(wrong(ferry, other))
    assert wrong(ferry, one)
    replayed(ferry, DONE, 2, 0)
    ferry.wait_applied()
    complain(wrong(ferry, one))


def test_letters_that_can_t_be_replayed_are_counted_and_named_and_hold_up_no_other(ferry):
    (table,) = start(ferry)
    write_refused(ferry, table, ["a", "b", "c"])
    template = letters_of(ferry, table)[0]
    made = [
        {**template, "keys": None},  # of what was no event
        {**template, "keys": {"other": {"S": "x"}}},  # of a former table of this name
        {**template, "table": "no-such-table"},
    ]
    producer = confluent_kafka.Producer({"bootstrap.servers": ferry.parts.kafka})
    for number, letter in enumerate(made):
        producer.produce(f"{ferry.prefix}-dead-letter", json.dumps(letter, separators=(",", ":")), f"x/{number}")
    producer.produce(f"{ferry.prefix}-dead-letter", b"no letter at all")
    assert producer.flush(30) == 0
    program = replayed(ferry, LEFT, 3, 3)
    reasons = {line["reason"].split(":")[0].split(",")[0] for line in events(program, "dead letters are left")}
    assert "without keys" in reasons and "the ledger knows no such table" in reasons
    assert len(reasons) == 3 and len(events(program, "record is no dead letter")) == 1
    ferry.wait_applied()
    complain(wrong(ferry, table))
    replayed(ferry, LEFT, 0, 3)


def test_with_the_producer_away_the_letters_stay(ferry):
    (table,) = start(ferry)
    write_refused(ferry, table, ["a"])
    ferry.programs[0].sigterm()
    replayed(ferry, NOBODY, 0, 1, **{"start.timeout": 2})
    assert marks_of(ferry) == []
    ferry.producer()
    replayed(ferry, DONE, 1, 0)
    ferry.wait_applied()
    complain(wrong(ferry, table))


def test_a_run_that_is_killed_leaves_nothing_undone_for_the_next(ferry):
    (table,) = start(ferry)
    names = [f"k{n}" for n in range(450)]
    write_refused(ferry, table, names)
    first = ferry.consumer({}, ("--replay-dead-letters",))
    wait_until(lambda: events(first, "dead letters handled"), 60, "some letters handled", [first])
    first.kill9()
    second = ferry.consumer({}, ("--replay-dead-letters",))
    # a quick first run may have come to the end before it was killed
    wait_until(lambda: events(second, "request sent") or not second.running, 60, "a request or the end")
    if second.running:
        second.signal(signal.SIGINT)
    assert second.wait(20) in (DONE, LEFT)
    program = replay(ferry)
    assert program.process.returncode == DONE, program.story()
    ferry.wait_applied()
    complain(wrong(ferry, table))
    assert {offset for offset, _ in marks_of(ferry)} == set(range(450))


def test_without_a_producer_that_ever_ran_there_is_nothing_to_replay_from(bridge):
    program = replay(bridge)
    assert program.process.returncode == NOBODY and "no producer has run" in program.log()
    assert replay(bridge, "--until-idle", "1").process.returncode == USAGE
    assert replay(bridge, "--wait").process.returncode == USAGE

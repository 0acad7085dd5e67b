"""The consumer's edges: rights, the default group, marks of former generations, dead letters without luck."""

import re

import pytest
from fakes.kafka_proxy import OUT_OF_ORDER_SEQUENCE, KafkaProxy
from fakes.mongo_proxy import MongoProxy
from support.bridge import complain
from support.refusing import (
    ONE_PARTITION,
    ferry,  # noqa: F401 (a fixture)
    fill,
    letters_of,
    lines,
    proxy,  # noqa: F401 (a fixture)
    put,
    refused,
)
from support.running import wait_until

# --- rights ---

WRITES = {"update", "insert", "delete", "findAndModify", "findandmodify", "create", "createIndexes", "drop"}
WITHOUT_LOGIN = {"hello", "ismaster", "ping", "buildinfo", "endsessions"}
USERS = {
    "one who may only read": lambda request: request.command in WRITES,
    "nobody": lambda request: request.command.lower() not in WITHOUT_LOGIN,
}


@pytest.mark.parametrize("user", USERS)
def test_a_user_without_the_right_to_write_is_told_at_the_start(ferry, user):
    """Not only when the first change comes: the server answers a ping of anybody."""
    ferry.settings.update(ONE_PARTITION)
    table = ferry.add_table()
    fill(ferry, table, 3)
    ferry.producer()
    ferry.wait_caught_up()
    answer = refused(13, "not authorized to execute this command")
    ferry.proxy.control.fault("reply", times=-1, predicate=USERS[user], document=answer)
    consumer = ferry.consumer({"start.timeout": 10})
    assert consumer.wait(30) == 77, consumer.story()
    assert "not authorized" in consumer.log() and ferry.database in consumer.log()


# --- passwords in addresses ---


PASSWORDS = {
    "at": "correct@horse-battery", "colon": "horse:battery", "slash": "horse/battery", "question": "horse?battery",
    "percent": "horse%zz",
}  # fmt: skip


@pytest.mark.parametrize("character", PASSWORDS)
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(bridge, character):
    password = PASSWORDS[character]
    address = f"mongodb://ferry:{password}@127.0.0.1:1/?serverSelectionTimeoutMS=500"
    for arguments in ((), ("--print-config",)):
        consumer = bridge.run("consumer", {"target.address": address, "start.timeout": 2}, arguments, 20)
        assert consumer.process.returncode == 78, consumer.story()
        assert "must be percent-encoded" in consumer.log()
        assert not [part for part in re.split("[@:/?%]", password) if len(part) > 2 and part in consumer.log()]


# --- the default group ---

SPELLINGS = {
    "order": ["mongodb://a.example:27018,b.example:27019/", "mongodb://b.example:27019,a.example:27018/"],
    "case": ["mongodb://a.example,b.example/", "mongodb://A.Example,b.EXAMPLE/"],
    "the usual port": ["mongodb://a.example,b.example/", "mongodb://a.example:27017,b.example:27017/"],
    "what is no host": ["mongodb://a.example,b.example/", "mongodb://u:p@b.example,a.example/x?tls=true"],
}


def default_group(bridge, address):
    shown = bridge.run("consumer", {"target.address": address}, ["--print-config"], 20)
    assert shown.process.returncode == 0, shown.story()
    return re.search(r"consumer\.group = (\S+)", shown.log())[1]


@pytest.mark.parametrize("what", SPELLINGS)
def test_two_spellings_of_one_target_are_one_group(bridge, what):
    bridge.add_table()
    one, other = (default_group(bridge, address) for address in SPELLINGS[what])
    assert one == other


def test_two_targets_are_two_groups(bridge):
    bridge.add_table()
    addresses = ["a.example,b.example", "a.example,c.example", "a.example", "a.example:27018,b.example"]
    groups = [default_group(bridge, f"mongodb://{address}/") for address in addresses]
    assert len(set(groups)) == len(groups)


def test_the_group_that_is_joined_is_the_one_that_is_shown(ferry):
    ferry.settings.update(ONE_PARTITION)
    table = ferry.add_table()
    fill(ferry, table, 3)
    ferry.producer()
    ferry.wait_caught_up()
    address = ferry.proxy.uri.replace("127.0.0.1", "LocalHost")
    consumer = ferry.consumer({"target.address": address})
    ferry.wait_applied()
    assert lines(consumer, "partitions assigned", f"group={default_group(ferry, address)} ")


# --- a mark of a former generation ---


def begins(ferry, table):
    return [record.offset for record in ferry.log(table) if record.control == "snapshot-begin"]


GRACE = {"target.max_time_ms": 2000, "target.socket.timeout.ms": 2000}


def test_a_late_mark_leads_no_further_back_than_the_begin(ferry, parts):
    """A write of the former generation comes late, into the present one: its item is gone since then, and is
    not applied once more."""
    ferry.settings.update(ONE_PARTITION, **GRACE, **{"sync_mode": "full", "convert.type": "change"})
    ferry.settings["consumer.group"] = ferry.prefix
    table = ferry.add_table(stream=None)
    put(ferry, table, "an item that goes")
    put(ferry, table, "an item that stays")
    assert ferry.run("producer").process.returncode == 0
    which = {"op": "update", "where": {"collection": table.name}, "contains": "an item that goes"}
    late = ferry.proxy.control.fault("hold", **which)
    first = ferry.consumer()
    assert ferry.proxy.control.wait_held(late)
    first.hang()
    with MongoProxy("%s:%d" % parts.mongo.address) as fast:
        second = ferry.consumer({"target.address": fast.uri})
        ferry.wait_applied()
        ferry.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": "an item that goes"}})
        assert ferry.run("producer").process.returncode == 0
        ferry.wait_applied()
        old, begin = begins(ferry, table)
        assert old < begin
        ferry.target()[table.name].delete_many({})
        watches = [(p, p.control.fault("delay", times=-1, seconds=0, **which)) for p in (ferry.proxy, fast)]
        ferry.proxy.control.release(late)
        late_one = lambda: ferry.target()[table.name].find_one({"pk": "an item that goes"})
        wait_until(late_one, 20, "the late write", [second])
        first.go_on()
        # whoever has the partition then: the mark leads back to the begin
        stays = lambda: ferry.target()[table.name].find_one({"pk": "an item that stays"})
        wait_until(stays, 50, "the present generation to be applied again", ferry.running())
        ferry.wait_applied()
        again = sum(p.script.find(fault).hits for p, fault in watches)
        assert again == 0, "the former generation was applied again"
        for program in first, second:
            program.sigterm()


# --- dead letters ---


def test_a_dead_letter_producer_that_met_a_fatal_error_is_made_anew(bridge):
    bridge.settings.update(ONE_PARTITION)
    table = bridge.add_table()
    fill(bridge, table, 3)
    bridge.producer()
    bridge.wait_caught_up()
    with KafkaProxy(bridge.parts.kafka) as kafka:
        bridge.consumer({"kafka.bootstrap.servers": kafka.address})
        bridge.wait_applied()
        kafka.refuse("-dead-letter", OUT_OF_ORDER_SEQUENCE, times=1)
        put(bridge, table, "first", **{"$refused": {"S": "x"}})
        bridge.wait_caught_up()
        bridge.wait_applied()
        assert kafka.refusal[2] == 0, "nothing was refused"
        put(bridge, table, "second", **{"$refused": {"S": "x"}})
        put(bridge, table, "k1", v={"N": "2"})
        bridge.settle()
        assert {letter["keys"]["pk"]["S"] for letter in letters_of(bridge, table)} == {"first", "second"}
        complain(bridge.verify_target(table, "raw"))

"""A table whose name is no good is halted alone, by name, and all others go on."""

import pytest
from support.bridge import complain
from support.running import wait_until


def unhealthy(producer, *words):
    status, text = producer.get("/healthz")
    return status == 503 and all(word in text for word in words)


def healthy(producer):
    return producer.get("/healthz")[0] == 200


def put(bridge, table, key="1"):
    bridge.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": key}})


def wait_tail(bridge, table):
    wait_until(lambda: bridge.phase(table) == "tail", 60, f"{table.name} in its tail", bridge.running())


def drop(bridge, table):
    bridge.dynamodb.delete_table(TableName=table.name)
    bridge.tables.remove(table)


def lines(program, *words):
    return [line for line in program.log().splitlines() if all(word in line for word in words)]


@pytest.mark.parametrize("kind", ["colliding", "too long"])
def test_a_bad_name_that_comes_later_stops_its_table_alone(scripted, kind):
    first = scripted.add_table(name="shop.orders")
    producer = scripted.producer({"filter.collection.white": None})
    wait_tail(scripted, first)
    bad = scripted.add_table(name="shop_orders" if kind == "colliding" else "x" * 250)
    wait_until(lambda: unhealthy(producer, bad.name), 30, "the bad one to be named", [producer])
    good = scripted.add_table(name="shop.good")
    put(scripted, good)
    wait_tail(scripted, good)
    assert scripted.phase(first) == "tail"
    assert f"place/{bad.name}" not in scripted.ledger()[0]
    assert len(lines(producer, "table halted", f"table={bad.name} ")) == 1
    drop(scripted, bad)
    wait_until(lambda: healthy(producer), 30, "health without the bad one", [producer])
    scripted.wait_caught_up()
    complain(scripted.verify_log(first))


def test_bad_names_at_the_start_stop_only_their_tables(scripted):
    first, bad, good = (scripted.add_table(name=name) for name in ("a.b", "a_b", "c"))
    producer = scripted.producer()
    for table in first, good:
        wait_tail(scripted, table)
    wait_until(lambda: unhealthy(producer, bad.name, first.name), 30, "the bad one to be named", [producer])
    assert f"place/{bad.name}" not in scripted.ledger()[0]
    producer.sigterm()
    black = scripted.producer({"filter.collection.white": None, "filter.collection.black": bad.name})
    wait_until(lambda: healthy(black), 30, "health without it", [black])
    put(scripted, good, "2")
    scripted.wait_caught_up(tables=[good])
    assert healthy(black)


def test_a_single_table_with_a_bad_name_is_a_wrong_configuration(scripted):
    bad = scripted.add_table(name="x" * 250)
    producer = scripted.run("producer")
    assert producer.process.returncode == 78, producer.story()
    assert lines(producer, bad.name, "map.topic")


def test_a_white_list_of_tables_that_do_not_exist_is_a_wrong_configuration(scripted):
    producer = scripted.run("producer", {"filter.collection.white": "nothing;nobody"})
    assert producer.process.returncode == 78, producer.story()
    assert lines(producer, "nothing", "exist")


def test_a_white_listed_table_that_comes_later_is_named_until_then(scripted):
    first = scripted.add_table(name="first")
    producer = scripted.producer({"filter.collection.white": "first;later"})
    wait_tail(scripted, first)
    wait_until(lambda: unhealthy(producer, "table later"), 30, "the missing one to be named", [producer])
    later = scripted.add_table(name="later")
    wait_tail(scripted, later)
    wait_until(lambda: healthy(producer), 30, "health with it", [producer])


def records_of(bridge, table):
    return [key for key in bridge.ledger()[0] if table.name in key.split("/")]


def test_a_table_that_is_gone_is_forgotten_and_new_when_it_comes_back(scripted):
    """Nothing of it stays in the ledger, so that the ledger does not grow with each table that ever was."""
    scripted.settings.update({"filter.collection.white": None, "source.doubt.ms": 300, "gone.forget.ms": 1000})
    gone, stays = scripted.add_table(name="gone"), scripted.add_table(name="stays")
    put(scripted, gone)
    producer = scripted.producer({"filter.collection.white": None})
    for table in gone, stays:
        wait_tail(scripted, table)
    place = scripted.ledger()[0]["place/stays"]
    scripted.dynamodb.delete_table(TableName=gone.name)
    wait_until(lambda: not records_of(scripted, gone), 90, "its records to leave the ledger", [producer])
    scripted.tables.remove(gone)
    again = scripted.add_table(name="gone")
    put(scripted, again, "2")
    wait_tail(scripted, again)
    assert scripted.ledger()[0]["place/stays"] == place and scripted.phase(stays) == "tail"
    assert not scripted.ledger()[1]


def test_discovery_that_fails_is_ill_health_until_it_works(scripted):
    table = scripted.add_table()
    producer = scripted.producer({"health.limit.ms": 2000})
    wait_tail(scripted, table)
    wait_until(lambda: healthy(producer), 30, "health", [producer])
    by_producer = lambda request: "Boto3" not in request.headers.get("user-agent", "")
    scripted.fake.control.fault("access_denied", op="ListTables", times=-1, predicate=by_producer)
    wait_until(lambda: unhealthy(producer, "discovery", "not authorized"), 30, "the look to be named", [producer])
    scripted.fake.control.clear()
    wait_until(lambda: healthy(producer), 30, "health again", [producer])

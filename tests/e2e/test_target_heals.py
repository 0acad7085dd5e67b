"""A target that lost something, or became another one, comes back by itself: its documents are the source's again,
by what the topic still holds, or by a new generation where it does not reach back.
"""

import pytest
from support.bridge import complain
from support.delete_records import delete_records
from support.running import wait_until

APPLIED = "dynaferry:applied"
PARTITIONS = 4


class Scene:
    """A table with a running producer and consumer, changed and applied; `copy` is what the target was before."""

    def __init__(self, bridge, settings):
        self.bridge = bridge
        self.settings = settings
        self.table = bridge.add_table()
        self.writer = bridge.writer(self.table, seed=61, keys=60, rate=100)
        self.writer.fill()
        self.producer = bridge.producer()
        self.start()
        bridge.settle()
        self.copy = {name: list(self.target[name].find()) for name in self.target.list_collection_names()}
        self.first = self.generation()
        self.change()
        bridge.settle()

    @property
    def target(self):
        return self.bridge.target()

    def start(self):
        self.consumer = self.bridge.consumer(self.settings)

    def change(self):
        """Some items are deleted, some made, some changed."""
        for item in self.bridge.items(self.table)[::4]:
            self.bridge.dynamodb.delete_item(
                TableName=self.table.name, Key=self.table.key_schema.key_of(item)
            )
        self.writer.fill()
        for item in self.bridge.items(self.table)[1::5]:
            self.bridge.dynamodb.delete_item(
                TableName=self.table.name, Key=self.table.key_schema.key_of(item)
            )

    def stop(self):
        self.consumer.sigterm()

    def restore(self, names):
        """As a restored dump leaves it: the documents of then, in a collection that is another one."""
        for name in names:
            self.target[name].drop()
            if self.copy[name]:
                self.target[name].insert_many(self.copy[name])

    def generation(self):
        return self.bridge.ledger()[0][f"table/{self.table.name}"]["generation"]

    def differences(self):
        return self.bridge.verify_target(self.table, "raw", self.settings["target.id"])

    def wait_equal(self, seconds=90):
        wait_until(lambda: not self.differences(), seconds, "the target as the source", self.bridge.running())

    def end(self, renewed=False):
        """Equal, and stays so while changes flow; was a new generation needed?"""
        self.wait_equal()
        self.change()
        self.bridge.settle(90)
        complain(self.differences())
        assert (self.generation() != self.first) == renewed


# Another collection has to get its index with the one, none with the other: both where it is made anew.
BOTH = pytest.mark.parametrize("target_id", ["objectid", "key"])
OBJECTID = pytest.mark.parametrize("target_id", ["objectid"])
KEY = pytest.mark.parametrize("target_id", ["key"])


@pytest.fixture
def scene(bridge, target_id):
    return Scene(bridge, {"target.id": target_id})


# --- the topic reaches back: it is applied again ---


@BOTH
def test_a_collection_that_is_dropped_under_it(scene):
    scene.target[scene.table.name].drop()
    scene.end()


@KEY
def test_positions_that_are_removed_under_it(scene):
    scene.target[APPLIED].delete_many({})
    scene.end()


@OBJECTID
def test_positions_that_are_removed_while_it_is_away(scene):
    scene.stop()
    scene.target[APPLIED].drop()
    scene.change()
    scene.start()
    scene.end()


@KEY
def test_a_database_that_is_dropped_while_it_is_away(scene):
    scene.stop()
    scene.target.client.drop_database(scene.bridge.database)
    scene.start()
    scene.end()


@OBJECTID
def test_yesterdays_copy_with_its_positions(scene):
    scene.stop()
    scene.restore([scene.table.name, APPLIED])
    scene.start()
    scene.end()


@KEY
def test_yesterdays_copy_without_its_positions(scene):
    scene.stop()
    scene.restore([scene.table.name])
    scene.start()
    scene.end()


@KEY
def test_yesterdays_copy_put_back_under_it(scene):
    scene.restore([scene.table.name, APPLIED])
    scene.end()


@OBJECTID
def test_a_collection_that_another_one_is_renamed_over(scene):
    """As $out and resharding do: another UUID, and whatever documents."""
    scene.target["other"].insert_many(scene.copy[scene.table.name])
    scene.target["other"].rename(scene.table.name, dropTarget=True)
    scene.end()


# --- it does not: a new generation ---


def cut(scene):
    delete_records(scene.bridge.parts.kafka, scene.bridge.topic(scene.table), PARTITIONS)


@KEY
def test_a_topic_that_retention_cut_while_it_was_away(scene):
    scene.stop()
    scene.change()
    scene.bridge.wait_caught_up()
    cut(scene)
    scene.start()
    scene.end(renewed=True)


@OBJECTID
def test_a_collection_that_is_dropped_when_the_topic_is_cut(scene):
    cut(scene)
    scene.target[scene.table.name].drop()
    scene.end(renewed=True)


# --- by hand ---


@BOTH
def test_positions_of_a_restored_dump_are_gone_on_from(scene):
    """As after mongorestore of a dump that was taken with its oplog: nothing is applied again from the begin."""
    scene.stop()
    scene.restore([scene.table.name, APPLIED])
    for _ in range(2):  # again is harmless
        done = scene.bridge.run("consumer", scene.settings, ["--adopt-restored"])
        assert done.process.returncode == 0, done.story()
    assert "positions=4" in done.log() + scene.bridge.programs[-2].log()
    scene.start()
    scene.end()
    assert "from=position" in scene.consumer.log() and "from=begin" not in scene.consumer.log()


def test_what_was_never_a_target_is_not_adopted(bridge):
    done = bridge.run("consumer", {}, ["--adopt-restored"])
    assert done.process.returncode == 1 and "holds no positions" in done.log(), done.story()

"""The list of shards: children by a filter, pages, and shards that it lacks for a while."""
import json
import time

import pytest

from .backend import ServiceError
from .dynamodb import FakeDynamoDB
from .test_dynamodb import make, refused


@pytest.fixture
def fake():
    with FakeDynamoDB() as server:
        yield server


@pytest.fixture
def streams(fake):
    return fake.client("dynamodbstreams")


@pytest.fixture
def arn(fake):
    return make(fake.client())["LatestStreamArn"]


def listed(streams, arn, **more):
    """The ids of all pages, and how many pages they were."""
    ids, pages, start = [], 0, {}
    while True:
        answer = streams.describe_stream(StreamArn=arn, **start, **more)["StreamDescription"]
        ids += [shard["ShardId"] for shard in answer["Shards"]]
        pages += 1
        if "LastEvaluatedShardId" not in answer:
            return ids, pages
        start = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}


def described(fake, arn, **fields):
    """One answer to a request that boto3 may be too old for: (ids, whether there is more)."""
    page = json.loads(fake.backend.call("DescribeStream", {"StreamArn": arn, **fields}))["StreamDescription"]
    return [shard["ShardId"] for shard in page["Shards"]], "LastEvaluatedShardId" in page


def of_parent(shard):
    return {"ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": shard}}


def test_a_filter_gives_the_children_of_one_shard_only(fake, arn):
    root = fake.control.shards("tab")[0]["id"]
    children = fake.control.split("tab", root, children=3)
    grandchild, = fake.control.split("tab", children[0], children=1)
    assert described(fake, arn, **of_parent(root)) == (children, False)
    assert described(fake, arn, **of_parent(children[0])) == ([grandchild], False)
    assert described(fake, arn, **of_parent(grandchild)) == ([], False)
    first, more = described(fake, arn, Limit=2, **of_parent(root))
    assert (first, more) == (children[:2], True)
    rest = described(fake, arn, Limit=2, ExclusiveStartShardId=first[-1], **of_parent(root))
    assert rest == (children[2:], False)


def test_a_filter_may_be_ignored_or_refused(fake, streams, arn):
    root = fake.control.shards("tab")[0]["id"]
    fake.control.split("tab", root)
    fake.control.set(shard_filter="ignored")
    assert described(fake, arn, **of_parent(root))[0] == listed(streams, arn)[0]
    fake.control.set(shard_filter="refused")
    with pytest.raises(ServiceError) as e:
        described(fake, arn, **of_parent(root))
    assert e.value.name == "ValidationException"
    assert len(listed(streams, arn)[0]) == 3


def test_pages_of_shards_are_as_long_as_asked(fake, streams, arn):
    fake.control.set(page_shards=2)
    fake.control.split("tab", children=6)
    ids, pages = listed(streams, arn)
    assert ids == [shard["id"] for shard in fake.control.shards("tab")]
    assert pages == 4


def test_hidden_shards_are_missing_for_so_many_listings_on_all_pages(fake, streams, arn):
    fake.control.set(page_shards=1)
    root = fake.control.shards("tab")[0]["id"]
    one, other = fake.control.split("tab", root)
    fake.control.hide("tab", [root, other], calls=2)
    assert [shard["listed"] for shard in fake.control.shards("tab")] == [False, True, False]
    assert [listed(streams, arn) for _ in range(3)] == [([one], 1), ([one], 1), ([root, one, other], 3)]


def test_a_hidden_shard_can_be_read_and_shown(fake, streams, arn):
    root = fake.control.shards("tab")[0]["id"]
    fake.control.hide("tab", [root])
    assert listed(streams, arn)[0] == []
    assert streams.get_shard_iterator(StreamArn=arn, ShardId=root, ShardIteratorType="TRIM_HORIZON")
    fake.control.show("tab")
    assert listed(streams, arn)[0] == [root]


def test_a_listing_goes_on_behind_a_shard_that_was_hidden_meanwhile(fake, arn):
    fake.control.split("tab", children=3)
    ids = [shard["id"] for shard in fake.control.shards("tab")]
    assert described(fake, arn, Limit=2) == (ids[:2], True)
    fake.control.hide("tab", [ids[1]])
    assert described(fake, arn, ExclusiveStartShardId=ids[1]) == (ids[2:], False)


def test_children_are_hidden_from_a_filter_too(fake, arn):
    root = fake.control.shards("tab")[0]["id"]
    one, other = fake.control.split("tab", root)
    fake.control.hide("tab", [other], calls=1)
    assert described(fake, arn, **of_parent(root))[0] == [one]
    assert described(fake, arn, **of_parent(root))[0] == [one, other]


def test_new_children_are_listed_late(fake, streams, arn):
    fake.control.set(late_listing_s=[3600, 7200])
    root = fake.control.shards("tab")[0]["id"]
    children = fake.control.split("tab", root)
    assert listed(streams, arn)[0] == [root]
    until = [fake.backend.tables["tab"].stream.listing.hidden[child].until for child in children]
    assert all(3500 < u - time.monotonic() < 7201 for u in until) and until[0] != until[1]
    fake.control.set(late_listing_s=0.01)
    grandchild, = fake.control.split("tab", children[0], children=1)
    assert not fake.control.shards("tab")[1]["listed"]
    deadline = time.monotonic() + 60
    while grandchild not in listed(streams, arn)[0]:
        assert time.monotonic() < deadline
    assert listed(streams, arn)[0] == [root, grandchild]


def lacking(seed):
    with FakeDynamoDB(seed=seed, shards=60, hide_chance=0.3, hide_s=3600) as fake:
        arn = make(fake.client())["LatestStreamArn"]
        first = listed(fake.client("dynamodbstreams"), arn)[0]
        assert listed(fake.client("dynamodbstreams"), arn)[0] == first  # a shard is drawn once
        return [shard["listed"] for shard in fake.control.shards("tab")]


def test_a_first_listing_lacks_some_shards_the_same_for_a_seed():
    some = lacking(1)
    assert 5 < some.count(False) < 40
    assert lacking(1) == some != lacking(2)


def test_some_shards_can_be_hidden_before_a_later_adoption(fake, streams, arn):
    fake.control.split("tab", children=40)
    hidden = fake.control.hide_some("tab", chance=0.5, seconds=[3600, 3700])
    assert 5 < len(hidden) < 36
    assert not set(hidden) & set(listed(streams, arn)[0])


def test_only_so_many_calls_a_second_are_let_through(fake, streams, arn):
    fake.control.set(describes_a_second=10, records_a_second=5)
    for _ in range(10):
        fake.backend.call("DescribeStream", {"StreamArn": arn})
    fake.backend.described.clock = lambda at=time.monotonic(): at  # time stands still
    fake.backend.described.level = 0
    refused("LimitExceededException", streams.describe_stream, StreamArn=arn)
    root = fake.control.shards("tab")[0]["id"]
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=root, ShardIteratorType="TRIM_HORIZON")
    fake.backend.call("GetRecords", {"ShardIterator": it["ShardIterator"]})
    bucket = fake.backend.read[arn, root]
    bucket.clock = lambda at=bucket.at: at
    for _ in range(4):
        streams.get_records(ShardIterator=it["ShardIterator"])
    refused("LimitExceededException", streams.get_records, ShardIterator=it["ShardIterator"])
    bucket.clock = lambda at=bucket.at + 0.5: at
    streams.get_records(ShardIterator=it["ShardIterator"])
    streams.get_records(ShardIterator=it["ShardIterator"])
    refused("LimitExceededException", streams.get_records, ShardIterator=it["ShardIterator"])

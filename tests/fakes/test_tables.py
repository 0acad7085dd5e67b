"""What a table tells late, its capacity, and its service's clock."""
import json
from email.utils import parsedate_to_datetime

import pytest
from botocore.exceptions import ClientError

from .dynamodb import FakeDynamoDB
from .test_dynamodb import KEY, STREAM, drain, make, refused, walk
from .test_script import raw

DEFINITIONS = [{"AttributeName": "pk", "AttributeType": "S"}]


@pytest.fixture
def fake():
    with FakeDynamoDB() as server:
        yield server


@pytest.fixture
def ddb(fake):
    return fake.client()


@pytest.fixture
def streams(fake):
    return fake.client("dynamodbstreams")


def provisioned(ddb, read, items=1, bytes_each=10000):
    ddb.create_table(TableName="tab", KeySchema=KEY, AttributeDefinitions=DEFINITIONS,
                     ProvisionedThroughput={"ReadCapacityUnits": read, "WriteCapacityUnits": 1})
    for n in range(items):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "%d" % n}, "v": {"S": "x" * bytes_each}})


# DescribeTable is late

def test_a_new_table_is_not_known_for_some_calls(fake, ddb):
    fake.control.set(create_lag_calls=2)
    make(ddb)
    assert ddb.list_tables()["TableNames"] == ["tab"]
    refused("ResourceNotFoundException", ddb.describe_table, TableName="tab")
    refused("ResourceNotFoundException", ddb.describe_table, TableName="tab")
    assert ddb.describe_table(TableName="tab")["Table"]["TableStatus"] == "ACTIVE"


def test_a_new_table_is_not_known_for_some_time(fake, ddb):
    fake.control.set(create_lag_s=3600)
    make(ddb)
    refused("ResourceNotFoundException", ddb.describe_table, TableName="tab")
    fake.backend.tables["tab"].lag.until = 0
    assert ddb.describe_table(TableName="tab")


def test_an_update_is_not_seen_for_some_calls(fake, ddb):
    fake.control.set(update_lag_calls=2, updating_calls=0)
    make(ddb, stream=False)
    ddb.update_table(TableName="tab", StreamSpecification=STREAM)
    seen = [ddb.describe_table(TableName="tab")["Table"].get("LatestStreamArn") for _ in range(3)]
    assert seen[:2] == [None, None] and seen[2]


def test_a_known_table_can_be_unknown_for_a_while(fake, ddb):
    make(ddb)
    fake.control.lag("tab", calls=1)
    refused("ResourceNotFoundException", ddb.describe_table, TableName="tab")
    fake.control.lag("tab", gone=False, seconds=3600)
    fake.control.new_stream("tab")
    old, new = ddb.describe_table(TableName="tab")["Table"], fake.backend.tables["tab"]
    assert old["LatestStreamArn"] == new.streams[0].arn != new.stream.arn


def test_a_table_that_is_being_deleted_has_no_keys(fake, ddb):
    fake.control.set(deleting_calls=1)
    make(ddb)
    ddb.delete_table(TableName="tab")
    refused("ResourceNotFoundException", ddb.scan, TableName="tab")
    table = ddb.describe_table(TableName="tab")["Table"]
    assert table["TableStatus"] == "DELETING"
    assert not {"KeySchema", "AttributeDefinitions", "LatestStreamArn"} & set(table)
    refused("ResourceNotFoundException", ddb.describe_table, TableName="tab")
    fake.control.set(deleting_calls=-1)
    make(ddb)
    ddb.delete_table(TableName="tab")
    assert {ddb.describe_table(TableName="tab")["Table"]["TableStatus"] for _ in range(3)} == {"DELETING"}
    refused("ResourceInUseException", make, ddb=ddb)
    fake.control.deleted("tab")
    assert ddb.list_tables()["TableNames"] == []


def test_a_recreated_table_is_another_one(fake, ddb):
    before = make(ddb)
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}})
    made = fake.control.recreate("tab", keep_items=True)
    after = ddb.describe_table(TableName="tab")["Table"]
    assert after["TableId"] == made != before["TableId"]
    assert after["LatestStreamArn"] != before["LatestStreamArn"]
    assert ddb.scan(TableName="tab")["Count"] == 1


# Capacity

def test_a_provisioned_table_tells_its_capacity(ddb):
    provisioned(ddb, 25)
    table = ddb.describe_table(TableName="tab")["Table"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 25
    assert "BillingModeSummary" not in table
    ddb.update_table(TableName="tab", BillingMode="PAY_PER_REQUEST")
    table = ddb.describe_table(TableName="tab")["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_a_scan_tells_what_it_consumed_when_asked(fake, ddb):
    make(ddb)
    for n in range(5):
        ddb.put_item(TableName="tab", Item={"pk": {"S": str(n)}, "v": {"S": "x" * 4096}})
    assert "ConsumedCapacity" not in ddb.scan(TableName="tab")
    used = [ddb.scan(TableName="tab", ReturnConsumedCapacity="TOTAL", ConsistentRead=c)["ConsumedCapacity"]
            for c in (True, False)]
    assert used == [{"TableName": "tab", "CapacityUnits": n} for n in (6.0, 3.0)]
    for first in (False, True):
        fake.control.set(capacity_first=first)
        text = fake.backend.call("Scan", {"TableName": "tab", "ReturnConsumedCapacity": "TOTAL"})
        assert json.loads(text)["Count"] == 5
        assert (text.index('"ConsumedCapacity"') < text.index('"Items"')) == first


def test_reads_above_the_capacity_are_throttled_with_the_reason(fake, ddb):
    provisioned(ddb, 5, items=20)
    bucket = fake.backend.tables["tab"].capacity
    bucket.clock = lambda: 1000.0
    ddb.scan(TableName="tab", ConsistentRead=True)  # a page is charged after it was read: 50 units
    with pytest.raises(ClientError) as e:
        ddb.scan(TableName="tab", ConsistentRead=True)
    assert e.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert e.value.response["ThrottlingReasons"] == [
        {"reason": "TableReadProvisionedThroughputExceeded", "resource": fake.backend.tables["tab"].arn}]
    bucket.clock = lambda: 1008.0
    refused("ProvisionedThroughputExceededException", ddb.scan, TableName="tab")
    bucket.clock = lambda: 1010.0
    ddb.scan(TableName="tab", ConsistentRead=True)


def test_a_table_on_demand_is_never_throttled(ddb):
    make(ddb)
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}, "v": {"S": "x" * 100000}})
    assert all(ddb.scan(TableName="tab")["Count"] for _ in range(20))


# The clock

def test_date_records_and_creations_follow_the_clock(fake, ddb, streams):
    fake.control.set(clock_offset_s=-100000, check_signature=False)
    made = make(ddb)
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}})
    date = parsedate_to_datetime(raw(fake, "ListTables", {})[1]["Date"])
    record, = walk(streams, made["LatestStreamArn"])
    stream = streams.describe_stream(StreamArn=made["LatestStreamArn"])["StreamDescription"]
    told = [record["dynamodb"]["ApproximateCreationDateTime"], made["CreationDateTime"],
            stream["CreationRequestDateTime"]]
    assert all(abs((when - date).total_seconds()) < 60 for when in told)
    assert abs(fake.backend.now() - date.timestamp()) < 60


def test_what_is_older_than_a_day_is_gone_by_the_services_clock(fake, ddb, streams):
    fake.control.set(check_signature=False)
    arn = make(ddb)["LatestStreamArn"]
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}})
    first = fake.control.shards("tab")[0]["id"]
    fake.control.roll("tab")
    ddb.put_item(TableName="tab", Item={"pk": {"S": "b"}})
    child = fake.control.shards("tab")[1]["id"]
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=child, ShardIteratorType="TRIM_HORIZON")
    fake.control.set(clock_offset_s=86000)
    assert len(walk(streams, arn)) == 2
    fake.control.set(clock_offset_s=87000)
    ddb.put_item(TableName="tab", Item={"pk": {"S": "c"}})
    refused("TrimmedDataAccessException", streams.get_records, ShardIterator=it["ShardIterator"])
    refused("ResourceNotFoundException", streams.get_shard_iterator, StreamArn=arn, ShardId=first,
            ShardIteratorType="TRIM_HORIZON")
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in drain(streams, arn, child)[0]] == ["c"]

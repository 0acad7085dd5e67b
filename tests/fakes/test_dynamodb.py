"""The fake DynamoDB answers boto3 as the service does."""
import time
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from .dynamodb import FakeDynamoDB

KEY = [{"AttributeName": "pk", "KeyType": "HASH"}]
KEYS = KEY + [{"AttributeName": "sk", "KeyType": "RANGE"}]
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


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


def make(ddb, name="tab", keys=KEY, kind="S", stream=True):
    definitions = [{"AttributeName": k["AttributeName"], "AttributeType": kind} for k in keys]
    extra = {"StreamSpecification": STREAM} if stream else {}
    return ddb.create_table(TableName=name, KeySchema=keys, AttributeDefinitions=definitions,
                            BillingMode="PAY_PER_REQUEST", **extra)["TableDescription"]


def scan(ddb, name="tab", **more):
    """All items, page by page, with the number of pages."""
    items, pages, start = [], 0, {}
    while True:
        answer = ddb.scan(TableName=name, ConsistentRead=True, **start, **more)
        items += answer["Items"]
        pages += 1
        if "LastEvaluatedKey" not in answer:
            return items, pages
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def drain(streams, arn, shard, kind="TRIM_HORIZON", **more):
    """The records of a shard until it is drained or gives an empty page."""
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind,
                                    **more)["ShardIterator"]
    records = []
    while it:
        answer = streams.get_records(ShardIterator=it)
        records += answer["Records"]
        it = answer.get("NextShardIterator")
        if not answer["Records"]:
            break
    return records, it


def walk(streams, arn):
    """All records of a stream, parents before children."""
    records = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        records += drain(streams, arn, shard["ShardId"])[0]
    return records


def refused(name, call, **arguments):
    with pytest.raises(ClientError) as e:
        call(**arguments)
    assert e.value.response["Error"]["Code"] == name
    return e.value.response["Error"]["Message"]


def test_a_table_describes_itself_as_it_was_made(ddb):
    make(ddb, keys=KEYS)
    table = ddb.describe_table(TableName="tab")["Table"]
    assert table["KeySchema"] == KEYS
    assert table["TableStatus"] == "ACTIVE"
    assert table["StreamSpecification"] == STREAM
    assert table["LatestStreamArn"].startswith(table["TableArn"] + "/stream/")
    assert len(table["TableId"]) == 36
    refused("ResourceInUseException", make, ddb=ddb)
    refused("ResourceNotFoundException", ddb.describe_table, TableName="absent")
    ddb.delete_table(TableName="tab")
    assert ddb.list_tables()["TableNames"] == []


def test_tables_are_listed_in_pages(ddb):
    for n in range(5):
        make(ddb, "tab%d" % n, stream=False)
    first = ddb.list_tables(Limit=3)
    rest = ddb.list_tables(Limit=3, ExclusiveStartTableName=first["LastEvaluatedTableName"])
    assert first["TableNames"] + rest["TableNames"] == ["tab%d" % n for n in range(5)]
    assert "LastEvaluatedTableName" not in rest


def test_every_type_comes_back_as_it_was_written(ddb):
    make(ddb)
    item = {"pk": "k", "n": Decimal("12345678901234567890123456789012345678"), "small": Decimal("1E-130"),
            "b": b"\x00\xff", "t": True, "nil": None, "ss": {"a", "b"}, "ns": {Decimal(1), Decimal("2.5")},
            "bs": {b"x"}, "l": [], "m": {}, "deep": {"a.b": [{"$c": ""}]}, "": "empty name", "é😀\0": "😀"}
    wrote = {k: TypeSerializer().serialize(v) for k, v in item.items()}
    ddb.put_item(TableName="tab", Item=wrote)
    (got,), _ = scan(ddb)
    assert {k: TypeDeserializer().deserialize(v) for k, v in got.items()} == item
    assert got["small"]["N"] == "0." + "0" * 129 + "1"
    assert ddb.get_item(TableName="tab", Key={"pk": {"S": "k"}})["Item"] == got


@pytest.mark.parametrize("value", [{"N": "x"}, {"N": "1" * 39}, {"N": "1E126"}, {"N": "1E-131"}, {"SS": []},
                                   {"NS": ["1", "1.0"]}])
def test_a_bad_value_is_refused(ddb, value):
    make(ddb)
    refused("ValidationException", ddb.put_item, TableName="tab", Item={"pk": {"S": "a"}, "v": value})


def test_an_item_above_400_kb_is_refused(ddb):
    make(ddb)
    message = refused("ValidationException", ddb.put_item, TableName="tab",
                      Item={"pk": {"S": "a"}, "v": {"S": "x" * 409600}})
    assert "Item size has exceeded" in message


def test_a_scan_gives_pages_of_one_megabyte(ddb):
    make(ddb, keys=KEYS)
    for n in range(12):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "p%d" % (n % 2)}, "sk": {"S": "%02d" % n},
                                          "v": {"S": "x" * 300000}})
    items, pages = scan(ddb)
    assert pages == 4
    assert sorted(i["sk"]["S"] for i in items) == ["%02d" % n for n in range(12)]
    order = [i["sk"]["S"] for i in items if i["pk"]["S"] == "p1"]
    assert order == sorted(order)


def get_batch(ddb, *names, **more):
    """(sorted pks that were found, pks that were not looked for)"""
    request = {"Keys": [{"pk": {"S": n}} for n in names], "ConsistentRead": True}
    answer = ddb.batch_get_item(RequestItems={"tab": request}, **more)
    left = answer["UnprocessedKeys"].get("tab", {"Keys": []})
    assert left["Keys"] == [] or left["ConsistentRead"]
    return sorted(i["pk"]["S"] for i in answer["Responses"]["tab"]), [k["pk"]["S"] for k in left["Keys"]]


def test_items_are_got_by_their_keys(ddb):
    make(ddb)
    for name in "abc":
        ddb.put_item(TableName="tab", Item={"pk": {"S": name}})
    assert get_batch(ddb, "c", "none", "a") == (["a", "c"], [])
    assert get_batch(ddb, "none") == ([], [])
    for names in ("aba", map(str, range(101))):
        keys = [{"pk": {"S": n}} for n in names]
        refused("ValidationException", ddb.batch_get_item, RequestItems={"tab": {"Keys": keys}})


def test_keys_may_be_left_unprocessed(fake, ddb):
    make(ddb)
    for name in "abc":
        ddb.put_item(TableName="tab", Item={"pk": {"S": name}})
    fake.control.set(max_batch_keys=2)
    assert get_batch(ddb, "c", "a", "b", "none") == (["a", "c"], ["b", "none"])
    asked = fake.control.log("BatchGetItem")[-1]["fields"]
    assert asked["TableName"] == "tab" and asked["ConsistentRead"] is True and len(asked["Keys"]) == 4


def test_a_limit_that_ends_with_the_table_still_gives_a_key(ddb):
    make(ddb)
    for n in range(4):
        ddb.put_item(TableName="tab", Item={"pk": {"S": str(n)}})
    items, pages = scan(ddb, Limit=2)
    assert (len(items), pages) == (4, 3)


def test_segments_share_the_table(ddb):
    make(ddb, kind="N")
    for start in range(0, 200, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"N": str(start + n)}}}} for n in range(25)]
        ddb.batch_write_item(RequestItems={"tab": puts})
    parts = [scan(ddb, Segment=s, TotalSegments=7, Limit=9)[0] for s in range(7)]
    assert all(parts)
    assert sorted(int(i["pk"]["N"]) for p in parts for i in p) == list(range(200))


def test_updates_follow_their_expression(ddb):
    make(ddb)
    key = {"pk": {"S": "a"}}
    ddb.update_item(TableName="tab", Key=key, UpdateExpression="SET #v = :one, m = :m",
                    ExpressionAttributeNames={"#v": "v.v"},
                    ExpressionAttributeValues={":one": {"N": "1"}, ":m": {"M": {"l": {"L": []}}}})
    ddb.update_item(TableName="tab", Key=key, UpdateExpression="SET #v = #v + :one, m.l[0] = :one ADD c :one",
                    ExpressionAttributeNames={"#v": "v.v"}, ExpressionAttributeValues={":one": {"N": "1"}})
    ddb.update_item(TableName="tab", Key=key, UpdateExpression="REMOVE c SET z = if_not_exists(z, :z)",
                    ExpressionAttributeValues={":z": {"S": "z"}})
    ddb.update_item(TableName="tab", Key=key, AttributeUpdates={"y": {"Value": {"S": "y"}}})
    assert ddb.get_item(TableName="tab", Key=key)["Item"] == {
        "pk": {"S": "a"}, "v.v": {"N": "2"}, "m": {"M": {"l": {"L": [{"N": "1"}]}}}, "z": {"S": "z"},
        "y": {"S": "y"}}
    refused("ConditionalCheckFailedException", ddb.put_item, TableName="tab", Item=key,
            ConditionExpression="attribute_not_exists(pk)")


def test_each_change_is_one_record_with_its_images(ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    for value in ("1", "1.0", "2"):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}, "v": {"N": value}})
    ddb.delete_item(TableName="tab", Key={"pk": {"S": "a"}})
    ddb.delete_item(TableName="tab", Key={"pk": {"S": "a"}})
    records = walk(streams, arn)
    assert [r["eventName"] for r in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert records[1]["dynamodb"]["OldImage"]["v"] == {"N": "1"}
    assert records[1]["dynamodb"]["NewImage"]["v"] == {"N": "2"}
    assert "NewImage" not in records[2]["dynamodb"]
    assert abs(records[0]["dynamodb"]["ApproximateCreationDateTime"].timestamp() - time.time()) < 60
    assert len({r["eventID"] for r in records}) == 3


def test_sequence_numbers_grow_in_value_and_in_length(ddb, streams, fake):
    fake.control.set(sequence_step=20)
    arn = make(ddb)["LatestStreamArn"]
    for n in range(450):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}, "v": {"N": str(n)}})
    numbers = [r["dynamodb"]["SequenceNumber"] for r in walk(streams, arn)]
    values = [int(n) for n in numbers]
    assert values == sorted(set(values)) and len(values) == 450
    assert numbers != sorted(numbers)
    assert (len(numbers[0]), len(numbers[-1])) == (21, 40)


def test_ttl_deletes_name_the_service(ddb, streams, fake):
    arn = make(ddb)["LatestStreamArn"]
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}})
    fake.control.ttl_delete("tab", {"pk": {"S": "a"}})
    record = walk(streams, arn)[-1]
    assert record["eventName"] == "REMOVE"
    assert record["userIdentity"] == {"Type": "Service",
                                      "PrincipalId": "dynamodb.amazonaws.com"}


def test_an_items_changes_stay_in_order_over_splits_and_rolls(ddb, streams, fake):
    fake.control.set(shards=2)
    arn = make(ddb)["LatestStreamArn"]
    for n in range(300):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "k%d" % (n % 10)}, "v": {"N": str(n)}})
        if n % 100 == 50:
            fake.control.split("tab")
        if n % 100 == 90:
            fake.control.roll("tab")
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert len(shards) > 10
    seen = {}
    for shard in shards:
        records, following = drain(streams, arn, shard["ShardId"])
        assert (following is None) == ("EndingSequenceNumber" in shard["SequenceNumberRange"])
        for r in records:
            seen.setdefault(r["dynamodb"]["Keys"]["pk"]["S"], []).append(
                int(r["dynamodb"]["NewImage"]["v"]["N"]))
    assert seen == {"k%d" % k: list(range(k, 300, 10)) for k in range(10)}


def test_shards_are_described_in_pages_of_100(ddb, streams, fake):
    fake.control.set(shards=150)
    arn = make(ddb)["LatestStreamArn"]
    first = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    rest = streams.describe_stream(StreamArn=arn, ExclusiveStartShardId=first["LastEvaluatedShardId"])
    assert (len(first["Shards"]), len(rest["StreamDescription"]["Shards"])) == (100, 50)
    assert "LastEvaluatedShardId" not in rest["StreamDescription"]


def test_iterators_start_where_they_are_asked_to(ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    for n in range(5):
        ddb.put_item(TableName="tab", Item={"pk": {"S": str(n)}})
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    numbers = [r["dynamodb"]["SequenceNumber"] for r in drain(streams, arn, shard)[0]]
    at = drain(streams, arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=numbers[2])[0]
    after = drain(streams, arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[2])[0]
    assert (len(at), len(after)) == (3, 2)
    assert drain(streams, arn, shard, "LATEST")[0] == []


def test_a_stream_can_be_enabled_disabled_and_renewed(ddb, streams):
    make(ddb, stream=False)
    ddb.update_table(TableName="tab", StreamSpecification=STREAM)
    first = ddb.describe_table(TableName="tab")["Table"]
    assert first["TableStatus"] == "UPDATING"
    assert ddb.describe_table(TableName="tab")["Table"]["TableStatus"] == "ACTIVE"
    ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}})
    ddb.update_table(TableName="tab", StreamSpecification={"StreamEnabled": False})
    old = streams.describe_stream(StreamArn=first["LatestStreamArn"])["StreamDescription"]
    assert old["StreamStatus"] == "DISABLED"
    assert len(walk(streams, first["LatestStreamArn"])) == 1
    refused("ResourceInUseException", ddb.update_table, TableName="tab", StreamSpecification=STREAM)
    ddb.describe_table(TableName="tab")
    ddb.update_table(TableName="tab", StreamSpecification=STREAM)
    assert ddb.describe_table(TableName="tab")["Table"]["LatestStreamArn"] != first["LatestStreamArn"]
    assert len(streams.list_streams(TableName="tab")["Streams"]) == 2


def test_a_wrong_signature_key_or_clock_is_refused(fake):
    def client(key, secret):
        return boto3.client("dynamodb", endpoint_url=fake.url, region_name="us-east-1",
                            aws_access_key_id=key, aws_secret_access_key=secret)
    message = refused("InvalidSignatureException", client(fake.access_key, "wrong").list_tables)
    assert message.startswith("The request signature we calculated does not match")
    refused("UnrecognizedClientException", client("AKIDOTHER", fake.secret_key).list_tables)
    fake.control.set(clock_offset_s=3600)
    assert "Signature expired: " in refused("InvalidSignatureException", fake.client().list_tables)
    fake.control.set(clock_offset_s=-3600)
    assert "not yet current" in refused("InvalidSignatureException", fake.client().list_tables)


def test_a_session_token_must_be_the_right_one():
    with FakeDynamoDB(token="session") as fake:
        assert fake.client().list_tables()["TableNames"] == []
        fake.token = "another"
        other = fake.client()
        fake.token = "session"
        refused("UnrecognizedClientException", other.list_tables)


def test_local_quirks_spell_the_same_value_differently(ddb, streams, fake):
    fake.control.set(quirks=True)
    arn = make(ddb)["LatestStreamArn"]
    ddb.put_item(TableName="tab", Item={"pk": {"S": "😀"}, "n": {"N": "1200"}})
    shard = fake.control.shards("tab")[0]["id"]
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=shard,
                                    ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    text = fake.backend.call("GetRecords", {"ShardIterator": it})
    assert '{"n":{"N":"1.2E+3"},"pk"' not in text  # other order than the item's
    assert '"NewImage":{"pk":{"S":"\\uD83D\\uDE00"},"n":{"N":"1.2E+3"}}' in text

"""The canned source serves what a real table of its size would, and each item once."""
import json
import urllib.request
import zlib

import boto3
import pytest

from .canned import Canned
from .test_dynamodb import drain, scan
from .values import canonical, dumps, item_size


@pytest.fixture(scope="module")
def canned():
    with Canned("bench", items=10_500, records=12_345, shards=3) as server:
        yield server


def client(canned, service="dynamodb"):
    return boto3.client(service, endpoint_url=canned.url, region_name="us-east-1",
                        aws_access_key_id="a", aws_secret_access_key="b")


@pytest.mark.parametrize("more, pages", [({}, 6), ({"Limit": 700}, 16)])
def test_a_scan_gives_every_item_once(canned, more, pages):
    items, asked = scan(client(canned), "bench", **more)
    assert len({i["pk"]["S"] for i in items}) == len(items) == 10_500
    assert asked == pages


def test_segments_share_the_items(canned):
    parts = [scan(client(canned), "bench", Segment=s, TotalSegments=4)[0] for s in range(4)]
    assert len({i["pk"]["S"] for p in parts for i in p}) == sum(map(len, parts)) == 10_500


def test_an_item_that_is_got_by_its_key_is_the_scans(canned):
    items, _ = scan(client(canned), "bench", Limit=3000)
    asked = [items[n] for n in (0, 5000, 10_499)]
    keys = [{"pk": item["pk"]} for item in asked] + [{"pk": {"S": "user#9999990000"}}]
    answer = client(canned).batch_get_item(RequestItems={"bench": {"Keys": keys}})
    assert answer["Responses"]["bench"] == asked and answer["UnprocessedKeys"] == {}


def test_items_have_the_promised_size_and_canonical_values(canned):
    page = json.loads(canned.op_Scan({"TableName": "bench"})[0])["Items"]
    assert {item_size(item) for item in page} == {500}
    assert {len(item) for item in page} == {14}
    assert sum(map(item_size, page)) >= 1 << 20
    for item in page[:50]:
        assert dumps({n: canonical(v) for n, v in item.items()}) == dumps(item)


def test_records_come_once_in_order_and_an_item_in_one_shard(canned):
    streams = client(canned, "dynamodbstreams")
    arn = canned.arn + "/stream/x"
    total, home = 0, {}
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        records, _ = drain(streams, arn, shard["ShardId"])
        numbers = [int(r["dynamodb"]["SequenceNumber"]) for r in records]
        assert numbers == sorted(set(numbers))
        total += len(records)
        for r in records:
            assert home.setdefault(r["dynamodb"]["Keys"]["pk"]["S"], shard["ShardId"]) == shard["ShardId"]
            assert r["dynamodb"]["NewImage"]["pk"] == r["dynamodb"]["Keys"]["pk"]
        tail, _ = drain(streams, arn, shard["ShardId"], "AFTER_SEQUENCE_NUMBER",
                        SequenceNumber=records[1500]["dynamodb"]["SequenceNumber"])
        assert tail == records[1501:]
    assert total == 12_345


def test_more_records_can_be_released(canned):
    before = sum(canned._released_in(s) for s in range(3))
    body = json.dumps({"do": "release", "records": before + 1000}).encode()
    urllib.request.urlopen(canned.url + "/_control", body).read()
    assert sum(canned._released_in(s) for s in range(3)) == before + 1000


def test_sums_are_right_also_at_the_second_time(canned):
    for _ in range(2):
        body, told = canned.op_Scan({"TableName": "bench", "Segment": 1, "TotalSegments": 2})
        assert int(told) == zlib.crc32(body)

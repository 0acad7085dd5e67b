"""Each fault does what it says, once for each time asked, and the log tells."""
import gzip
import http.client
import json
import threading
import zlib

import pytest
from botocore.exceptions import (ClientError, ConnectionClosedError, ReadTimeoutError,
                                 ResponseStreamingError)

from .control import Remote
from .dynamodb import FakeDynamoDB
from .test_dynamodb import drain, make, refused, scan, walk


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


def fill(ddb, count=20):
    for n in range(count):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "k%d" % n}, "v": {"S": "é" * 50}})


def raw(fake, op="Scan", fields=None, headers=None):
    """One unsigned request; the answer as it came: (status, headers, bytes)."""
    fake.control.set(check_signature=False)
    connection = http.client.HTTPConnection("127.0.0.1", fake.http.port, timeout=10)
    connection.request("POST", "/", json.dumps(fields or {"TableName": "tab"}),
                       {"X-Amz-Target": "DynamoDB_20120810." + op, **(headers or {})})
    answer = connection.getresponse()
    body = b"".join(iter(lambda: answer.read1(65536), b""))
    connection.close()
    return answer.status, answer.headers, body


@pytest.mark.parametrize("kind, name", [
    ("throttle", "ProvisionedThroughputExceededException"), ("throttling", "ThrottlingException"),
    ("request_limit", "RequestLimitExceeded"), ("limit", "LimitExceededException"),
    ("500", "InternalServerError"), ("503", "ServiceUnavailableException"),
    ("expired", "ExpiredIteratorException"), ("trimmed", "TrimmedDataAccessException"),
    ("not_found", "ResourceNotFoundException"), ("access_denied", "AccessDeniedException")])
def test_an_error_comes_as_often_as_asked(fake, ddb, kind, name):
    fault = fake.control.fault(kind, op="ListTables", times=2, skip=1)
    ddb.list_tables()
    assert refused(name, ddb.list_tables)
    refused(name, ddb.list_tables)
    ddb.list_tables()
    assert fake.control.wait_used(fault, timeout=0)


def test_a_fault_can_be_for_one_request_only(fake, ddb):
    make(ddb, "one")
    make(ddb, "two")
    fake.control.fault("throttle", op="Scan", where={"TableName": "two", "Segment": 1}, times=-1)
    ddb.scan(TableName="two", Segment=0, TotalSegments=2)
    ddb.scan(TableName="one", Segment=1, TotalSegments=2)
    with pytest.raises(ClientError):
        ddb.scan(TableName="two", Segment=1, TotalSegments=2)


@pytest.mark.parametrize("when, wrote", [("before", False), ("answer", True), ("middle", True)])
def test_a_connection_is_cut_before_or_after_the_write(fake, ddb, when, wrote):
    make(ddb)
    fake.control.fault("cut", op="PutItem", when=when)
    with pytest.raises((ConnectionClosedError, ResponseStreamingError)):
        ddb.put_item(TableName="tab", Item={"pk": {"S": "a"}}, ReturnConsumedCapacity="TOTAL")
    assert len(scan(ddb)[0]) == wrote


def test_wrong_answers_are_wrong_in_just_one_way(fake, ddb):
    make(ddb)
    fill(ddb)
    _, headers, good = raw(fake)
    assert int(headers["x-amz-crc32"]) == zlib.crc32(good)

    fake.control.fault("wrong_crc")
    _, headers, body = raw(fake)
    assert body == good and int(headers["x-amz-crc32"]) != zlib.crc32(good)

    fake.control.fault("cut_json", keep=0.3)
    _, headers, body = raw(fake)
    assert good.startswith(body) and int(headers["x-amz-crc32"]) == zlib.crc32(body)
    with pytest.raises(ValueError):
        json.loads(body)

    fake.control.fault("length", claim=10 ** 12)
    _, headers, body = raw(fake)
    assert body == good and int(headers["Content-Length"]) == 10 ** 12

    fake.control.fault("flood", bytes=3 << 20)
    assert len(raw(fake)[2]) == len(good) + (3 << 20)

    fake.control.fault("body", text="<html>busy</html>", status=503)
    assert raw(fake)[::2] == (503, b"<html>busy</html>")


def test_gzip_only_for_those_who_accept_it_and_summed_as_sent(fake, ddb):
    make(ddb)
    fill(ddb)
    good = raw(fake)[2]
    fake.control.set(gzip=True)
    assert raw(fake)[2] == good
    _, headers, body = raw(fake, headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip" and len(body) < len(good)
    assert int(headers["x-amz-crc32"]) == zlib.crc32(body)
    assert gzip.decompress(body) == good


def test_drips_and_delays_are_slow_but_whole(fake, ddb):
    make(ddb)
    fill(ddb)
    good = raw(fake)[2]
    fake.control.fault("drip", bytes=len(good) // 5, pause=0.01)
    fake.control.fault("delay", seconds=0.05)
    assert raw(fake)[2] == good
    assert fake.control.wait_requests("Scan", 2)
    entry = fake.control.log("Scan")[-1]
    assert entry["end"] - entry["start"] >= 0.1 and entry["faults"] == ["drip", "delay"]
    fake.control.fault("delay", seconds=1, when="after")
    with pytest.raises(ReadTimeoutError):
        fake.client(read_timeout=0.1, retries={"total_max_attempts": 1}).list_tables()


def test_a_late_page_shows_the_early_moment(fake, ddb):
    make(ddb)
    fill(ddb, 3)
    hold = fake.control.fault("hold", op="Scan", when="after")
    pages = []
    reader = threading.Thread(target=lambda: pages.append(scan(fake.client())[0]))
    reader.start()
    assert fake.control.wait_held(hold)
    ddb.delete_item(TableName="tab", Key={"pk": {"S": "k0"}})
    fake.control.release(hold)
    reader.join(10)
    assert len(pages[0]) == 3 and len(scan(ddb)[0]) == 2


def test_empty_pages_and_expiring_iterators_lose_nothing(fake, ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    fill(ddb)
    shard = fake.control.shards("tab")[0]["id"]
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=shard,
                                    ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    fake.control.fault("empty", op="GetRecords", where={"ShardId": shard}, times=2)
    for _ in range(2):
        answer = streams.get_records(ShardIterator=it)
        assert answer["Records"] == []
        it = answer["NextShardIterator"]
    fake.control.expire_iterators()
    refused("ExpiredIteratorException", streams.get_records, ShardIterator=it)
    assert len(drain(streams, arn, shard)[0]) == 20
    fake.control.set(iterator_uses=1)
    refused("ExpiredIteratorException", drain, streams=streams, arn=arn, shard=shard)


def test_trimmed_records_are_told_to_be_trimmed(fake, ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    fill(ddb, 5)
    shard = fake.control.shards("tab")[0]["id"]
    numbers = [r["dynamodb"]["SequenceNumber"] for r in walk(streams, arn)]
    fake.control.trim("tab", seq=numbers[2])
    ask = dict(StreamArn=arn, ShardId=shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER")
    refused("TrimmedDataAccessException", streams.get_shard_iterator, SequenceNumber=numbers[0], **ask)
    streams.get_shard_iterator(SequenceNumber=numbers[3], **ask)
    assert len(walk(streams, arn)) == 2


def test_a_late_child_and_a_vanished_parent(fake, ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    parent = fake.control.shards("tab")[0]["id"]
    children = fake.control.split("tab")
    fake.control.fault("hide_children", op="DescribeStream", times=2)

    def seen():
        return [s["ShardId"] for s in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]]
    assert [seen(), seen(), seen()] == [[parent], [parent], [parent] + children]
    fake.control.vanish("tab", parent)
    assert seen() == children
    refused("ResourceNotFoundException", streams.get_shard_iterator, StreamArn=arn, ShardId=parent,
            ShardIteratorType="TRIM_HORIZON")


def test_a_drained_shard_may_say_so_late(fake, ddb, streams):
    arn = make(ddb)["LatestStreamArn"]
    fill(ddb, 3)
    fake.control.set(drained_late=True)
    parent = fake.control.shards("tab")[0]["id"]
    fake.control.roll("tab")
    it = streams.get_shard_iterator(StreamArn=arn, ShardId=parent,
                                    ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    first = streams.get_records(ShardIterator=it)
    last = streams.get_records(ShardIterator=first["NextShardIterator"])
    assert (len(first["Records"]), len(last["Records"])) == (3, 0)
    assert "NextShardIterator" not in last


def test_a_new_stream_and_a_recreated_table_have_new_names(fake, ddb):
    before = make(ddb)
    fill(ddb, 3)
    assert fake.control.new_stream("tab") != before["LatestStreamArn"]
    fake.control.recreate("tab", keep_items=True)
    after = ddb.describe_table(TableName="tab")["Table"]
    assert after["TableId"] != before["TableId"]
    assert len(scan(ddb)[0]) == 3


def test_another_process_has_the_same_verbs(fake, ddb):
    make(ddb)
    remote = Remote(fake.url)
    remote.fault(kind="throttle", op="Scan", times=1)
    refused("ProvisionedThroughputExceededException", ddb.scan, TableName="tab")
    assert [f["hits"] for f in remote.faults()] == [1]
    assert len(remote.split(table="tab")) == 2
    assert [e["op"] for e in remote.log()] == ["CreateTable", "Scan"]
    assert remote.wait_requests(op="Scan")
    assert [e["status"] for e in remote.log(op="Scan")] == [400]
    with pytest.raises(ValueError, match="no verb"):
        remote.explode()
    with pytest.raises(ValueError, match="no fault"):
        remote.fault(kind="nonsense")


def test_a_seed_repeats_a_random_campaign():
    def outcome(seed):
        with FakeDynamoDB(seed=seed, check_signature=False) as fake:
            fake.control.fault("500", op="ListTables", times=-1, chance=0.5)
            return [raw(fake, "ListTables", {})[0] for _ in range(20)]
    assert outcome(3) == outcome(3)
    assert outcome(3) != outcome(4)

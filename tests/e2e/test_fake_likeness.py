"""The scripted endpoint and DynamoDB Local give the same answers to the same workload (but for
the spelling of numbers, which DynamoDB Local keeps as it was written).

Else what is shown against the scripted endpoint would say nothing about the service.
"""

import pytest
from support import oracle, workload
from support.spelling import plain_item
from support.topic_check import Source

STEPS = 150


def outcome(dynamodb, streams, shape, seed):
    """(items by key, changes in order) after a workload; tables of one name are made anew."""
    table = workload.Table(f"likeness-{shape.name}", shape.key_schema)
    table.create(dynamodb)
    try:
        writer = workload.Writer(dynamodb, table, seed=seed, keys=40)
        writer.fill()
        for _ in range(STEPS):
            writer.step()
        schema = table.key_schema
        items = {
            oracle.canonical_key(schema.key_of(item), schema): plain_item(item)
            for item in oracle.scan(dynamodb, table.name)
        }
        arn = dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
        source = Source.read(streams, arn, schema)
        return items, [(c.op, source.key_of(c), plain_item(c.image), c.ttl) for c in source.changes]
    finally:
        dynamodb.delete_table(TableName=table.name)


def batch_answers(dynamodb):
    """What BatchGetItem says of items that are there and not there, and what it refuses."""
    table = workload.Table("likeness-batch", oracle.KeySchema(("pk",), ("S",)))
    table.create(dynamodb)
    try:
        for name in "ab":
            dynamodb.put_item(TableName=table.name, Item={"pk": {"S": name}, "v": {"N": "1"}})
        return [batch_answer(dynamodb, table.name, names) for names in ("ab", "bx", "x", "aa", "", "a" * 101)]
    finally:
        dynamodb.delete_table(TableName=table.name)


def batch_answer(dynamodb, table, names):
    request = {"Keys": [{"pk": {"S": name}} for name in names], "ConsistentRead": True}
    try:
        answer = dynamodb.batch_get_item(RequestItems={table: request}, ReturnConsumedCapacity="NONE")
    except dynamodb.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    items = sorted(answer["Responses"][table], key=lambda item: item["pk"]["S"])
    return items, sorted(answer["Responses"]), answer["UnprocessedKeys"], "ConsumedCapacity" in answer


def test_items_got_by_their_keys_come_in_the_same_form(parts, fake):
    keys = {"aws_access_key_id": fake.access_key, "aws_secret_access_key": fake.secret_key}
    local, ours = [
        batch_answers(workload.make_client("dynamodb", url, **keys)) for url in (parts.dynamodb, fake.url)
    ]
    assert local == ours
    assert local[2] == ([], ["likeness-batch"], {}, False)


@pytest.mark.parametrize("shape", workload.all_tables("")[2:5], ids=lambda table: table.name)
def test_the_same_writes_give_the_same_items_and_records(parts, fake, shape):
    keys = {"aws_access_key_id": fake.access_key, "aws_secret_access_key": fake.secret_key}
    local, ours = [
        outcome(*(workload.make_client(s, url, **keys) for s in ("dynamodb", "dynamodbstreams")), shape, seed=5)
        for url in (parts.dynamodb, fake.url)
    ]
    assert local[0] == ours[0]
    assert local[1] == ours[1]

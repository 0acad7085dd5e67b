"""Random items and the documents that they must be, made by one process of several.

    python -m support.fullcheck_fill DYNAMODB MONGODB TABLE NAMES TYPES NUMBER COUNT DATABASE/CONVERSION/TARGET_ID...

NUMBER tells the processes of a table apart: it is the seed, and no two of them make the same key.
"""

import random
import sys

import pymongo

from .fullcheck_tool import documents_of, fill_source
from .oracle import KeySchema
from .workload import Table, Values, make_client, nested

BATCH = 250
CREDENTIALS = {"aws_access_key_id": "filler", "aws_secret_access_key": "filler"}


class Items:
    """Random in type, depth and size; most are small."""

    def __init__(self, table, number, count):
        self.table, self.first, self.count = table, number * count, count
        self.rng = random.Random(f"{table.key_schema}/{number}")
        self.values = Values(self.rng, refused=0)

    def item(self, number):
        rng, names = self.rng, self.table.key_schema.names
        item = {**self.values.attributes(names), **self.table.key(rng, number)}
        if rng.random() < 0.02:
            item["deep"] = nested(rng.randrange(5, 33))
        if rng.random() < 0.02:
            item["long"] = {"L": [self.values.value(2) for _ in range(rng.randrange(50, 300))]}
        if rng.random() < 0.005:
            item["large"] = {"S": "\u00e9" * rng.randrange(10_000, 90_000)}
        return item

    def batches(self):
        for start in range(self.first, self.first + self.count, BATCH):
            end = min(start + BATCH, self.first + self.count)
            yield [self.item(number) for number in range(start, end)]


def main():
    dynamodb, mongodb, name, names, types, number, count, *targets = sys.argv[1:]
    table = Table(name, KeySchema(tuple(names.split("/")), tuple(types.split("/"))))
    client = make_client("dynamodb", dynamodb, **CREDENTIALS)
    mongo = pymongo.MongoClient(mongodb)
    for items in Items(table, int(number), int(count)).batches():
        fill_source(client, table, items)
        for database, convert_type, target_id in (target.split("/") for target in targets):
            documents = documents_of(items, table.key_schema, convert_type, target_id)
            mongo[database][name].insert_many(documents)


if __name__ == "__main__":
    main()

"""A NimoShake that was stopped: what it leaves behind in MongoDB, written by hand from the names of its fields."""

import time

from bson import ObjectId

STATUS_TABLE = "status_table"
NEWER = {
    "key": "Key", "status_value": "StatusValue", "shard_id": "ShardId", "father_id": "FatherId",
    "seq_num": "SequenceNumber", "status": "Status", "worker_id": "WorkerId", "iterator_type": "IteratorType",
    "shard_it": "ShardIt", "update_date": "UpdateDate", "approximate_time": "ApproximateTime",
}  # fmt: skip
OLDER = {name: name for name in NEWER}


class NimoShake:
    """Its target and its checkpoints, in the spelling of its version."""

    def __init__(self, bridge, names=NEWER):
        self.bridge, self.names = bridge, names
        bridge.settings["checkpoint.db"] = None
        self.target, self.checkpoints = bridge.target(), bridge.target(f"{bridge.database}-checkpoint")

    def spelled(self, **fields):
        return {self.names[name]: value for name, value in fields.items()}

    def stage(self, value="incr_sync"):
        self.checkpoints[STATUS_TABLE].insert_one(self.spelled(key="status_key", status_value=value))

    def copy(self, table, convert=lambda item: item, paths=None):
        """The items as they are now, under its own index."""
        paths = paths or [f"{n}.{t}" for n, t in zip(table.key_schema.names, table.key_schema.types)]
        collection = self.target[table.name]
        collection.create_index([(path, 1) for path in paths], unique=True)
        if len(paths) > 1:
            collection.create_index([(paths[0], 1)])
        documents = [convert(item) for item in self.bridge.items(table)]
        if documents:
            collection.insert_many([{"_id": ObjectId(), **document} for document in documents])

    def shards(self, table):
        arn = self.bridge.dynamodb.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
        found = self.bridge.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        return [(arn, shard) for shard in found]

    def last_record(self, arn, shard):
        """The newest one of the shard, or None."""
        streams, last, empty = self.bridge.streams, None, 0
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator and empty < 3:
            answer = streams.get_records(ShardIterator=iterator)
            last = answer["Records"][-1]["dynamodb"] if answer["Records"] else last
            empty = 0 if answer["Records"] else empty + 1
            iterator = answer.get("NextShardIterator")
        return last

    def stop(self, table, **changes):
        """A document a shard: all that is in the stream now was written. `changes`: fields that are different."""
        for arn, shard in self.shards(table):
            self.checkpoints[table.name].insert_one(
                self.spelled(**{**self.position(shard, self.last_record(arn, shard)), **changes})
            )

    def position(self, shard, last):
        closed = "EndingSequenceNumber" in shard["SequenceNumberRange"]
        fields = {
            "shard_id": shard["ShardId"], "father_id": shard.get("ParentShardId", ""), "worker_id": "unknown-worker",
            "status": "done" if closed else "in processing", "shard_it": "see sequence number",
        }  # fmt: skip
        if last is None:
            number = shard["SequenceNumberRange"]["StartingSequenceNumber"]
            return {**fields, "seq_num": number, "iterator_type": "LATEST", "update_date": ""}
        created = last["ApproximateCreationDateTime"]
        return {
            **fields,
            "seq_num": last["SequenceNumber"],
            "iterator_type": "AT_SEQUENCE_NUMBER",
            "update_date": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({"approximate_time": created.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")} if self.names is NEWER else {}),
        }

    def collections(self):
        return set(self.checkpoints.list_collection_names())

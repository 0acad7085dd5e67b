"""What a script may change of the fake DynamoDB at any time; the names are those of the control interface."""


class Settings:
    def __init__(self):
        self.gzip = False            # compress for those who accept it
        self.quirks = False          # DynamoDB Local's spelling in stream images
        self.crc = True
        self.check_signature = True
        self.trust_boto = False      # whose clock does not follow the service's
        self.clock_offset_s = 0      # of the service's clock
        self.record_age_s = 0        # stream records claim to be this much older
        self.creating_calls = 0      # DescribeTable calls until a new table is ACTIVE
        self.updating_calls = 1      # the same for UpdateTable
        self.shards = 1              # open shards of a new stream
        self.sequence_step = 50      # numbers of each length
        self.iterator_uses = 0       # an iterator chain expires after this many GetRecords calls
        self.max_records = 1000      # records in one answer
        self.max_batch_keys = 100    # keys of a BatchGetItem that are looked for, the others are unprocessed
        self.ignore_segments = False  # every segment is the whole table, as some emulators do
        self.drained_late = False    # a closed shard says so one empty page later
        self.retention_s = 86400     # older stream records and closed shards are gone, by the service's clock
        self.shard_filter = "children"  # CHILD_SHARDS gives these; "ignored": all shards; "refused"
        self.page_shards = 100       # shards in one answer of DescribeStream
        self.late_listing_s = 0      # each new child is listed so late: seconds, or [least, most]
        self.hide_chance = 0         # a shard's first listing lacks it with this probability ..
        self.hide_s = [0.4, 1.5]     # .. for so long
        self.create_lag_calls = 0    # DescribeTable calls that do not know a new table yet
        self.create_lag_s = 0        # the same in seconds
        self.update_lag_calls = 0    # DescribeTable calls that tell what was before an UpdateTable
        self.update_lag_s = 0
        self.deleting_calls = 0      # DescribeTable calls that show a deleted table as DELETING; -1: all
        self.capacity_burst_s = 1    # seconds of unused capacity that are kept
        self.capacity_first = False  # ConsumedCapacity stands before the items
        self.records_a_second = 0    # GetRecords calls per second and shard; the service allows 5
        self.describes_a_second = 0  # DescribeStream calls per second; the service allows 10

    def change(self, **changes):
        for name, value in changes.items():
            if not hasattr(self, name):
                raise KeyError("no setting %r" % name)
            setattr(self, name, value)

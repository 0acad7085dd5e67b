"""Drops all records of a topic, as retention does: python delete_records.py BOOTSTRAP TOPIC PARTITIONS.

A process of its own, which ends without cleaning up: the results of confluent-kafka 2.12.2's delete_records
damage the interpreter's memory.
"""

import os
import sys

import confluent_kafka
import confluent_kafka.admin

bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
ends = [confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_END) for p in range(partitions)]
for future in admin.delete_records(ends).values():
    future.result(60)
os._exit(0)
